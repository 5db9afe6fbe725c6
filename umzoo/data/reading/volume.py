"""Read the volumes of one scan, in canonical axes: NIfTI and MGH by nibabel here, all else in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading import nifti
from umzoo.data.reading.detached_headers import data_files
from umzoo.data.reading.frames import Frames, refuse_flat
from umzoo.data.reading.geometry import Grid, Spacing, canonical
from umzoo.data.reading.header_affine import affine_of
from umzoo.data.reading.reader_client import open_apart
from umzoo.data.reading.refusal import Reason, Refused, guarded
from umzoo.data.reading.scan_source import DEFAULT_READING, Reading, ScanSource
from umzoo.data.reading.size_limits import require_claim

NIBABEL_SUFFIXES = (".nii", ".nii.gz", ".nii.bz2", ".hdr", ".hdr.gz", ".mgz", ".mgh")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
SUFFIXES = NIBABEL_SUFFIXES + ITK_SUFFIXES

_VECTOR_INTENTS = ("vector", "displacement vector", "symmetric matrix", "general matrix", "point set", "quaternion")
_LABEL_INTENTS = ("label", "neuroname")
_STATISTICS = range(2, 25)
_ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar")
_PACKERS = (".gz", ".bz2", ".xz", ".zst", ".z")
_DOUBLE_SUFFIXES = (".nii.gz", ".nii.bz2", ".hdr.gz", ".img.gz")


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


def suffix_of(path: Path | str) -> str:
    """The lower-case suffix of a file name, ``.nii.gz`` in one piece."""
    name = str(path).lower()
    return next((suffix for suffix in _DOUBLE_SUFFIXES if name.endswith(suffix)), Path(name).suffix)


def packed_kind(path: Path) -> str:
    """The suffix of a packed file that may hold scans, such as ``.dcm.gz`` or ``.zip``; empty for others."""
    suffix, inner = path.suffix.lower(), Path(path.stem).suffix.lower()
    if suffix in _ARCHIVES:
        return suffix
    return inner + suffix if suffix in _PACKERS and inner in (*SUFFIXES, ".dcm", ".ima", ".tar") else ""


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
        voxels = guarded(files, partial(frames.read, index))
        voxels, filled = _finite(voxels) if reading.nan == "fill" else (voxels, ())
        voxels, spacing, note = canonical(voxels, frames.affine)
        said = (*notes, *filled, *((note,) if note else ()))
        yield Volume(voxels, spacing, grid, index, count, said, frames.hounsfield)


def _finite(voxels: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """*voxels* with the least finite value in place of NaN and infinity, and a note if there were any."""
    if not np.issubdtype(voxels.dtype, np.floating):
        return voxels, ()
    finite = np.isfinite(voxels)
    bad = int(finite.size - np.count_nonzero(finite))
    if bad in (0, finite.size):
        return voxels, ()
    low = voxels[finite].min()
    return np.where(finite, voxels, low), (f"{bad} of {finite.size} voxels are NaN or infinite: filled with {low:g}",)


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


def _open(scan: ScanSource, reading: Reading = DEFAULT_READING, labels: bool = False) -> Frames:
    if not scan.dicom and suffix_of(scan.files[0]) in NIBABEL_SUFFIXES:
        return _open_nibabel(scan.files[0], labels)
    return open_apart(scan, reading, labels)


def _open_nibabel(path: str, labels: bool) -> Frames:
    files = [Path(path), *data_files(Path(path))]
    image = nifti.load(path)
    frames = open_nibabel(image, labels, path)
    require_claim(math.prod(frames.shape[:3]) * image.get_data_dtype().itemsize, files)
    return frames


def open_nibabel(image: Any, labels: bool = False, path: str = "") -> Frames:
    """Open a nibabel *image*, one whose header says that it holds labels if *labels* are wanted; *path* is its file.

    Raises:
        Refused: if it is no volume of numbers.
    """
    header, shape = image.header, tuple(image.shape)
    _refuse_voxel_type(image.get_data_dtype())
    intent = header.get_intent()[0] if hasattr(header, "get_intent") else ""
    if intent in _VECTOR_INTENTS:
        raise Refused(Reason.VECTOR, f"the header says '{intent}'")
    if hasattr(header, "get_intent") and int(header["intent_code"]) in _STATISTICS:
        raise Refused(Reason.NOT_A_VOLUME, f"the header says '{intent}': a map of statistics")
    if intent in _LABEL_INTENTS and not labels:
        raise Refused(Reason.LABELS, f"the header says '{intent}'")
    if len(shape) > 4:
        shape = shape[:3] + tuple(n for n in shape[3:] if n > 1)
    if len(shape) > 4:
        raise Refused(Reason.VECTOR, f"{len(shape)} dimensions ({' x '.join(map(str, shape))})")
    refuse_flat(shape)
    affine, notes = affine_of(image, path)

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


def _refuse_voxel_type(dtype: np.dtype[Any]) -> None:
    if dtype.names:
        raise Refused(Reason.COLOR, f"voxels are colors ({', '.join(dtype.names)})")
    if dtype.kind == "c":
        raise Refused(Reason.COMPLEX, f"voxels are of type {dtype}")
