"""Read the volumes of one scan, in canonical axes: NIfTI and MGH by nibabel, NRRD, MetaImage and DICOM by SimpleITK."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.geometry import Grid, Spacing, canonical
from umzoo.data.refusal import Reason, Refused, one_line
from umzoo.data.scan_source import DEFAULT_READING, Reading, ScanSource

NIBABEL_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".mgz", ".mgh")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
SUFFIXES = NIBABEL_SUFFIXES + ITK_SUFFIXES

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_UNITS_IN_MM = {"meter": 1000.0, "micron": 0.001}
_VECTOR_INTENTS = ("vector", "displacement vector", "symmetric matrix", "general matrix", "point set", "quaternion")
_LABEL_INTENTS = ("label", "neuroname")


@dataclass(frozen=True)
class Volume:
    """Physical values ``(D, H, W)`` in LPS, *spacing* in mm (D, H, W), and where in its file the volume stood.

    *grid* is the file's own, ``(i, j, k)``; *hounsfield* tells that its header says how values are in HU.
    """

    voxels: NDArray[Any]
    spacing: Spacing
    grid: Grid
    frame: int = 0
    frames: int = 1
    notes: tuple[str, ...] = ()
    hounsfield: bool = False


@dataclass(frozen=True)
class Frames:
    """Frames ``(i, j, k)`` of a file, read one at a time, and their common affine (index to mm, LPS)."""

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    read: Any
    notes: tuple[str, ...] = ()
    hounsfield: bool = False


def suffix_of(path: Path | str) -> str:
    """The lower-case suffix of a file name, ``.nii.gz`` in one piece."""
    name = str(path).lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def stem_of(path: Path | str) -> str:
    """The file name without its suffix, ``.nii.gz`` in one piece."""
    name = Path(path).name
    return name[: len(name) - len(suffix_of(name))] or name


def read_volumes(scan: ScanSource, reading: Reading = DEFAULT_READING) -> Iterator[Volume]:
    """Yield the volumes of *scan*: one, or one per frame or channel.

    Of more than ``max_frames`` frames, ``max_frames`` evenly spaced ones are read, and each says so in its notes.

    Raises:
        Refused: if the file cannot be read or is no volume.
    """
    yield from volumes_of(guarded(scan.files, lambda: _open(scan, reading)), scan.files, reading)


def volumes_of(frames: Frames, files: Sequence[str] = (), reading: Reading = DEFAULT_READING) -> Iterator[Volume]:
    """Yield the volumes of opened *frames*, whose *files* are named in refusals; see :func:`read_volumes`."""
    count = frames.shape[3] if len(frames.shape) > 3 else 1
    grid = Grid(frames.shape[:3], frames.affine)  # type: ignore[arg-type]
    chosen = np.unique(np.linspace(0, count - 1, min(count, reading.max_frames)).round().astype(int))
    notes = frames.notes + ((f"{len(chosen)} of {count} frames, evenly spaced",) if len(chosen) < count else ())
    for index in map(int, chosen):
        voxels = guarded(files, lambda index=index: frames.read(index))
        voxels, spacing, note = canonical(voxels, frames.affine)
        yield Volume(voxels, spacing, grid, index, count, notes + ((note,) if note else ()), frames.hounsfield)


def read_grid(scan: ScanSource) -> tuple[NDArray[Any], Grid]:
    """Return the voxels ``(i, j, k)`` of a *scan* of one volume as they are stored, and their grid.

    Label maps are allowed.

    Raises:
        Refused: if the file cannot be read, or holds several volumes.
    """
    frames = guarded(scan.files, lambda: _open(scan, labels=True))
    if len(frames.shape) > 3 and frames.shape[3] > 1:
        raise Refused(Reason.VECTOR, f"it holds {frames.shape[3]} volumes, expected one")
    voxels = guarded(scan.files, lambda: frames.read(0))
    return voxels, Grid(voxels.shape, frames.affine)


def guarded(files: Sequence[str], read: Any) -> Any:
    """Call *read*, turning whatever a reader raises on damaged *files* into a refusal."""
    try:
        return read()
    except (Refused, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - third-party readers raise anything on damaged files
        raise Refused(Reason.UNREADABLE, one_line(error, *files)) from None


def _open(scan: ScanSource, reading: Reading = DEFAULT_READING, labels: bool = False) -> Frames:
    if scan.dicom:
        from umzoo.data.dicom import read_stack

        stack = read_stack(scan.files, scan.frames, reading.uneven == "resample")
        notes = scan.notes + stack.notes
        return Frames(stack.voxels.shape, stack.affine, lambda index: stack.voxels, notes, stack.hounsfield)
    if suffix_of(scan.files[0]) in NIBABEL_SUFFIXES:
        import nibabel

        return open_nibabel(nibabel.load(scan.files[0]), labels)
    return _open_itk(scan.files[0])


def open_nibabel(image: Any, labels: bool = False) -> Frames:
    """Open a nibabel *image*; one whose header says that it holds labels if *labels* are wanted.

    Raises:
        Refused: if it is no volume of numbers.
    """
    header, shape = image.header, tuple(image.shape)
    _refuse_voxel_type(image.get_data_dtype())
    intent = header.get_intent()[0] if hasattr(header, "get_intent") else ""
    if intent in _VECTOR_INTENTS:
        raise Refused(Reason.VECTOR, f"the header says '{intent}'")
    if intent in _LABEL_INTENTS and not labels:
        raise Refused(Reason.LABELS, f"the header says '{intent}'")
    if len(shape) > 4:
        shape = shape[:3] + tuple(n for n in shape[3:] if n > 1)
    if len(shape) > 4:
        raise Refused(Reason.VECTOR, f"{len(shape)} dimensions ({' x '.join(map(str, shape))})")
    _refuse_flat(shape)
    affine, notes = _nibabel_affine(image)

    def read(index: int) -> NDArray[Any]:
        whole = image.dataobj
        extra = len(image.shape) - 3
        if not extra:
            return _physical(whole)
        place = tuple(index if n > 1 else 0 for n in image.shape[3:])
        return _physical(whole, (..., *place))

    return Frames(shape, affine, read, notes)


def _physical(proxy: Any, where: Any = None) -> NDArray[Any]:
    """Voxels of a nibabel array proxy: the stored type if there is no scaling, else float."""
    if where is not None:
        return np.asarray(proxy[where])
    if not hasattr(proxy, "get_unscaled") or (proxy.slope, proxy.inter) == (1.0, 0.0):
        return np.asanyarray(proxy)
    values: NDArray[np.float32] = np.array(proxy.get_unscaled(), np.float32)
    values *= np.float32(proxy.slope)
    values += np.float32(proxy.inter)
    return values


def _nibabel_affine(image: Any) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Affine in mm and LPS, and a note if the header does not know the orientation."""
    header, affine = image.header, np.array(image.affine, float)
    notes: tuple[str, ...] = ()
    if hasattr(header, "get_xyzt_units"):
        affine[:3] *= _UNITS_IN_MM.get(header.get_xyzt_units()[0], 1.0)
    if hasattr(header, "get_qform") and not (int(header["qform_code"]) or int(header["sform_code"])):
        notes = ("the header does not say how the axes lie: taken as nibabel's default",)
    return _LPS_FROM_RAS @ affine, notes


def _open_itk(path: str) -> Frames:
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.ReadImageInformation()
    return open_itk(reader, reader.GetNumberOfComponents(), reader.Execute)


def open_itk(described: Any, components: int, execute: Callable[[], Any]) -> Frames:
    """Open a SimpleITK image of *components*; *described* is it or its reader, *execute* gives it.

    Raises:
        Refused: if it is no volume of numbers.
    """
    import SimpleITK as sitk  # noqa: N813

    size, kind = tuple(described.GetSize()), sitk.GetPixelIDValueAsString(described.GetPixelID())
    if "complex" in kind:
        raise Refused(Reason.COMPLEX, f"voxels are of type '{kind}'")
    if components in (3, 4) and "8-bit" in kind:
        raise Refused(Reason.COLOR, f"{components} color components")
    if components == 3:
        raise Refused(Reason.VECTOR, "3 components per voxel: give channels as separate files")
    if len(size) > 4 or (len(size) == 4 and components > 1):
        raise Refused(Reason.VECTOR, f"{len(size)} dimensions of {components} components")
    _refuse_flat(size)
    affine = _itk_affine(described.GetDirection(), described.GetSpacing(), described.GetOrigin())
    voxels = sitk.GetArrayFromImage(execute())
    if components > 1:
        return Frames((*size, components), affine, lambda index: voxels[..., index].transpose(2, 1, 0))
    if len(size) == 4:
        return Frames(size, affine, lambda index: voxels[index].transpose(2, 1, 0))
    return Frames(size, affine, lambda index: voxels.transpose(2, 1, 0))


def _itk_affine(
    direction: tuple[float, ...], spacing: tuple[float, ...], origin: tuple[float, ...]
) -> NDArray[np.float64]:
    """``(4, 4)`` index to mm (LPS)."""
    affine, dims = np.eye(4), len(spacing)
    affine[:3, :3] = np.reshape(direction, (dims, dims))[:3, :3] * np.asarray(spacing[:3])
    affine[:3, 3] = origin[:3]
    return affine


def _refuse_flat(shape: tuple[int, ...]) -> None:
    if len(shape) < 3 or min(shape[:3]) <= 1:
        raise Refused(Reason.TWO_D, f"{' x '.join(map(str, shape))} voxels")


def _refuse_voxel_type(dtype: np.dtype[Any]) -> None:
    if dtype.names:
        raise Refused(Reason.COLOR, f"voxels are colors ({', '.join(dtype.names)})")
    if dtype.kind == "c":
        raise Refused(Reason.COMPLEX, f"voxels are of type {dtype}")
