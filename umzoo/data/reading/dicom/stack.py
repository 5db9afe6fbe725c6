"""Reading one volume: slices in order, or frames of a multi-frame file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.dicom.elements import lenient, text
from umzoo.data.reading.dicom.header import describe
from umzoo.data.reading.dicom.interleaved import overlap, take_turns
from umzoo.data.reading.dicom.pixels import Pixels, read_frames
from umzoo.data.reading.dicom.plane import Plane
from umzoo.data.reading.dicom.size_limits import read_bounded
from umzoo.data.reading.dicom.slice_buffer import Buffer
from umzoo.data.reading.dicom.slice_spacing import along_normal, is_even, judge
from umzoo.data.reading.refusal import Reason, Refused, one_line
from umzoo.data.reading.size_limits import require_growth


@dataclass(frozen=True)
class StackVoxels:
    """Physical values ``(i, j, k)``, the affine (index to mm, LPS), and notes.

    *hounsfield* is whether the header declares HU.
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    hounsfield: bool = False


def read_stack(files: Sequence[str], frames: Sequence[int] = (), resample_uneven: bool = False) -> StackVoxels:
    """Read *files*, the slices in order, or *frames* of one multi-frame file.

    Raises:
        Refused: if a slice cannot be decoded, or the slices do not form an even stack.
    """
    planes: list[Plane] = []
    buffer = Buffer(len(frames) or len(files))
    first = None
    with lenient():
        for data, plane, pixels in _images(files, frames):
            first = data if first is None else first
            buffer.add(pixels, len(planes))
            planes.append(plane)
    modality = text(first, "Modality")
    why = judge(planes)
    if why is not None and not (why.reason is Reason.UNEVEN and resample_uneven):
        raise why
    buffer.fill_padding(modality)
    voxels, notes = buffer.voxels, _notes(first, modality)
    if take_turns(voxels, planes):
        detail = "every second slice is more similar than neighbors are: several scans are mixed"
        raise Refused(Reason.MIXED, detail)
    places = along_normal(planes)
    if not is_even(places):
        voxels, step = _evened(voxels, places)
        low, high = np.diff(places).min(), np.diff(places).max()
        notes += (f"slice spacing of {low:.2f} to {high:.2f} mm, resampled to {step:.2f} mm",)
    elif modality != "CT" and overlap(planes):
        notes += ("slices are thicker than their spacing: they overlap, or several scans are mixed",)
    affine = _affine(planes[0], planes[-1], len(voxels))
    hounsfield = modality == "CT" and _says_hounsfield(first, planes[0])
    return StackVoxels(voxels.transpose(2, 1, 0), affine, notes, hounsfield)


def _images(files: Sequence[str], frames: Sequence[int]) -> Iterator[tuple[Any, Plane, Pixels]]:
    for file in files:
        try:
            data = read_bounded(file)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - damaged files raise anything
            raise Refused(Reason.UNREADABLE, f"corrupted DICOM file ({one_line(error, file)})") from None
        if "TransferSyntaxUID" not in data.file_meta:
            data.file_meta.TransferSyntaxUID = _syntax(data)
        header = describe(file, data)
        if header.problem is not None:
            raise header.problem
        planes = [header.planes[number] for number in frames or range(len(header.planes))]
        for plane, pixels in zip(planes, read_frames(file, data, planes), strict=True):
            yield data, plane, pixels


def _syntax(data: Any) -> Any:
    """The transfer syntax of a file that lost its meta information."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    return ImplicitVRLittleEndian if data.original_encoding[0] else ExplicitVRLittleEndian


def _affine(first: Plane, last: Plane, slices: int) -> NDArray[np.float64]:
    """Index to mm from the first and last slice, so that a tilted gantry shows as shear."""
    orientation, (row, column) = np.asarray(first.orientation), first.spacing
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * column
    affine[:3, 1] = orientation[3:] * row
    affine[:3, 2] = (np.asarray(last.position) - np.asarray(first.position)) / (slices - 1)
    affine[:3, 3] = first.position
    return affine


def _evened(voxels: NDArray[Any], places: NDArray[np.float64]) -> tuple[NDArray[np.float32], float]:
    """Slices ``(k, j, i)`` at uneven *places*, interpolated linearly at even ones; and their spacing in mm."""
    count = int(round(float((places[-1] - places[0]) / np.median(np.diff(places))))) + 1
    require_growth(voxels.shape, (max(2, count), *voxels.shape[1:]), None)
    wanted = np.linspace(places[0], places[-1], max(2, count))
    below = np.clip(np.searchsorted(places, wanted, side="right") - 1, 0, len(places) - 2)
    share = ((wanted - places[below]) / (places[below + 1] - places[below])).astype(np.float32)
    even = np.empty((len(wanted), *voxels.shape[1:]), np.float32)
    for number, (low, weight) in enumerate(zip(below, share, strict=True)):
        even[number] = (1 - weight) * voxels[low] + weight * voxels[low + 1]
    return even, float(wanted[1] - wanted[0])


def _says_hounsfield(data: Any, plane: Plane) -> bool:
    """Whether a CT's header declares HU."""
    kind = text(data, "RescaleType").upper()
    signed = text(data, "PixelRepresentation") == "1"
    return bool(plane.rescale) and kind in ("", "HU") and (signed or plane.rescale[1] < 0)


def _notes(data: Any, modality: str) -> tuple[str, ...]:
    inverse = text(data, "PhotometricInterpretation") == "MONOCHROME1" and modality != "CT"
    return ("displayed inverted (MONOCHROME1): the rescaled values are kept",) if inverse else ()
