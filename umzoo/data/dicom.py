"""DICOM: which files form one stack, and reading it. SimpleITK (GDCM) does the decoding.

Files are grouped wherever they lie: by series, then by image size, pixel spacing and orientation, then, where one
position holds several images (time points, echoes), into one stack for each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.refusal import Reason, Refused, one_line

VOLUME_MODALITIES = {"CT": "ct", "MR": "mr", "PT": "pt", "NM": "nm", "OT": "", "": ""}
GAP_TOLERANCE = 0.1

_TAGS = {
    "series": "0020|000e", "modality": "0008|0060", "patient": "0010|0020", "rows": "0028|0010", "columns": "0028|0011",
    "spacing": "0028|0030", "orientation": "0020|0037", "position": "0020|0032", "samples": "0028|0002",
    "frames": "0028|0008", "slope": "0028|1053", "intercept": "0028|1052", "image_type": "0008|0008",
    "echo": "0018|0081", "temporal": "0020|0100", "acquisition": "0020|0012", "instance": "0020|0013",
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """The tags of one file that decide where it belongs; ``problem`` is set if it holds no image."""

    file: str
    tags: dict[str, str]
    problem: str = ""

    def numbers(self, tag: str) -> tuple[float, ...]:
        """A multi-valued number, empty if absent or malformed."""
        try:
            return tuple(float(part) for part in self.tags.get(tag, "").split("\\") if part.strip())
        except ValueError:
            return ()


@dataclass(frozen=True)
class Stack:
    """Slices of one volume in order, or the reason why they form none."""

    headers: tuple[Header, ...]
    refused: Refused | None = None


def is_dicom(path: Path) -> bool:
    """Whether the file has the DICOM preamble, or at least the usual suffix."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    return start[128:] == b"DICM" or (path.suffix.lower() in (".dcm", ".ima") and path.name.upper() != "DICOMDIR")


def read_headers(files: Sequence[str]) -> list[Header]:
    """The headers of *files*, pixels not read."""
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    return [_read_header(reader, file) for file in files]


def _read_header(reader: Any, file: str) -> Header:
    try:
        reader.SetFileName(file)
        reader.ReadImageInformation()
    except RuntimeError:
        return Header(file, {}, "holds no image that GDCM can read (damaged, or a structure set, report or index)")
    present = set(reader.GetMetaDataKeys())
    tags = {name: reader.GetMetaData(tag).strip() for name, tag in _TAGS.items() if tag in present}
    return Header(file, tags)


def group(headers: Iterable[Header]) -> list[Stack]:
    """Sort *headers* into stacks; every header ends up in exactly one."""
    groups: dict[tuple[Any, ...], list[Header]] = defaultdict(list)
    stacks = []
    for header in headers:
        problem = _unfit(header)
        if problem:
            stacks.append(Stack((header,), problem))
        elif _count(header, "frames") > 1:
            stacks.append(Stack((header,)))
        else:
            groups[_geometry(header)].append(header)
    for members in groups.values():
        stacks += [_checked(stack) for stack in _split_repeats(members)]
    return stacks


def _unfit(header: Header) -> Refused | None:
    """Why one file cannot be part of a volume, if so."""
    modality = header.tags.get("modality", "")
    if header.problem:
        return Refused(Reason.UNREADABLE, header.problem)
    if modality == "SEG":
        return Refused(Reason.LABELS, "a DICOM segmentation")
    if modality not in VOLUME_MODALITIES:
        return Refused(Reason.NOT_A_VOLUME, f"DICOM modality {modality}")
    if _count(header, "samples") > 1:
        return Refused(Reason.COLOR, f"{_count(header, 'samples')} color components")
    if _count(header, "frames") > 1:
        return None
    if len(header.numbers("position")) != 3 or len(header.numbers("orientation")) != 6:
        return Refused(Reason.NOT_A_VOLUME, "the slice does not say where it lies (no position or orientation)")
    return None


def _count(header: Header, tag: str) -> int:
    return int((header.numbers(tag) or (1,))[0])


def _geometry(header: Header) -> tuple[Any, ...]:
    return (
        header.tags.get("series", ""),
        header.tags.get("rows"),
        header.tags.get("columns"),
        tuple(round(value, 4) for value in header.numbers("spacing")),
        tuple(round(value, 3) for value in header.numbers("orientation")),
    )


def _along_normal(header: Header) -> float:
    """Distance of the slice from the origin along the normal of its plane, in mm."""
    orientation = np.asarray(header.numbers("orientation"))
    return float(np.cross(orientation[:3], orientation[3:]) @ np.asarray(header.numbers("position")))


def _split_repeats(headers: list[Header]) -> list[Stack]:
    """Images that share a position go to separate stacks, in the order of type, echo, time and number."""
    positions: dict[float, list[Header]] = defaultdict(list)
    for header in headers:
        positions[round(_along_normal(header), 2)].append(header)
    ordered = [sorted(positions[place], key=_order) for place in sorted(positions)]
    depth = max(len(place) for place in ordered)
    return [Stack(tuple(place[layer] for place in ordered if layer < len(place))) for layer in range(depth)]


def _order(header: Header) -> tuple[Any, ...]:
    tags = ("echo", "temporal", "acquisition", "instance")
    return (header.tags.get("image_type", ""), *(header.numbers(tag) or (0.0,) for tag in tags), header.file)


def _checked(stack: Stack) -> Stack:
    """Refuse single slices and stacks with gaps."""
    if len(stack.headers) < 2:
        return Stack(stack.headers, Refused(Reason.TWO_D, "a single slice"))
    places = [_along_normal(header) for header in stack.headers]
    gaps = np.diff(places)
    usual = float(np.median(gaps))
    if np.abs(gaps - usual).max() > max(GAP_TOLERANCE * usual, 0.05):
        detail = f"slices {usual:.2f} mm apart, with gaps from {gaps.min():.2f} to {gaps.max():.2f} mm"
        return Stack(stack.headers, Refused(Reason.SLICES, detail))
    return stack


def read_stack(files: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.float64], tuple[str, ...]]:
    """Read *files*, the slices in order or one multi-frame file.

    Returns:
        ``(i, j, k)`` physical values, the affine (index to mm, LPS) and notes.

    Raises:
        Refused: if a slice cannot be decoded.
    """
    import SimpleITK as sitk  # noqa: N813

    headers = read_headers(files)
    reader: Any = sitk.ImageSeriesReader() if len(files) > 1 else sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    if len(files) > 1:
        reader.SetFileNames(list(files))
        if len({(header.tags.get("slope"), header.tags.get("intercept")) for header in headers}) > 1:
            reader.SetOutputPixelType(sitk.sitkFloat32)
    else:
        reader.SetFileName(files[0])
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise Refused(Reason.UNREADABLE, one_line(error, *files)) from None
    if image.GetDimension() != 3:
        raise Refused(Reason.TWO_D, f"{' x '.join(map(str, image.GetSize()))} pixels")
    voxels = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    if len(files) > 1:
        return voxels, _affine(headers), ()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return voxels, affine, ("a multi-frame file: its frames are taken for evenly spaced slices",)


def _affine(headers: Sequence[Header]) -> NDArray[np.float64]:
    """Index to mm from the tags of the first and last slice, so that a tilted gantry shows as shear."""
    first, last = headers[0], headers[-1]
    orientation, (row, column) = np.asarray(first.numbers("orientation")), first.numbers("spacing") or (1.0, 1.0)
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * column
    affine[:3, 1] = orientation[3:] * row
    step = np.asarray(last.numbers("position")) - np.asarray(first.numbers("position"))
    affine[:3, 2] = step / (len(headers) - 1)
    affine[:3, 3] = first.numbers("position")
    return affine
