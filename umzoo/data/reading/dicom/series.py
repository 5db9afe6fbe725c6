"""Which images form one volume: one patient, series, kind and contrast, with every position once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from umzoo.data.reading.dicom.duplicate_slices import without_copies
from umzoo.data.reading.dicom.image_kind import alike
from umzoo.data.reading.dicom.interleaved import rows
from umzoo.data.reading.dicom.plane import Header, Plane
from umzoo.data.reading.dicom.repeated_positions import acquisitions, number_positions, separate
from umzoo.data.reading.dicom.slice_spacing import in_order, judge, without_strangers
from umzoo.data.reading.refusal import Reason, Refused

BETWEEN = Refused(Reason.MIXED, "slices of several scans seem to be interleaved, and the headers do not separate them")
"""The refusal of slices that may be one scan or several."""


@dataclass(frozen=True)
class Stack:
    """Slices of one volume in order, or images that form no volume and the reason.

    Args:
        files: one per slice, or one multi-frame file.
        frames: of a multi-frame file, those of the volume in order.
        header: of the first file.
        copies: whether these are copies of the slices of another stack.
    """

    files: tuple[str, ...]
    header: Header
    frames: tuple[int, ...] = ()
    refused: Refused | None = None
    notes: tuple[str, ...] = ()
    copies: bool = False


def group(headers: Iterable[Header], resample_uneven: bool = False) -> list[Stack]:
    """Sort *headers* into stacks; every image ends up in exactly one.

    Args:
        headers: of all files.
        resample_uneven: whether unevenly spaced slices are accepted as a volume.
    """
    by_file, unfit = {}, defaultdict(list)
    units: dict[Any, list[Plane]] = defaultdict(list)
    for header in headers:
        by_file[header.file] = header
        if header.problem is not None:
            unfit[header.series or header.file, header.problem.reason, header.problem.detail].append(header)
        elif len(header.planes) > 1:
            units[header.file] = list(header.planes)
        else:
            plane = header.planes[0]
            units[plane.kind[-1], plane.size].append(plane)
    stacks = [Stack(tuple(h.file for h in same), same[0], refused=same[0].problem) for same in unfit.values()]
    for planes in units.values():
        for parted in alike(planes):
            stacks += [_made(stack, planes, by_file) for stack in _stacks(parted, resample_uneven)]
    return stacks


@dataclass(frozen=True)
class _Part:
    planes: Sequence[Plane]
    refused: Refused | None = None
    notes: tuple[str, ...] = ()
    copies: bool = False


def _made(part: _Part, unit: Sequence[Plane], by_file: dict[str, Header]) -> Stack:
    header = by_file[part.planes[0].file]
    if len(header.planes) > 1:
        frames = tuple(plane.frame for plane in part.planes)
        notes = header.notes + part.notes
        return Stack((header.file,), header, frames, part.refused, notes)
    files = tuple(plane.file for plane in part.planes)
    return Stack(files, header, (), part.refused, part.notes, part.copies)


def _stacks(planes: Sequence[Plane], resample_uneven: bool) -> list[_Part]:
    """The volumes among images of one kind."""
    own, copied = without_copies(planes)
    found = [_Part(copied, copies=True)] if copied else []
    for part in acquisitions(own):
        separated = separate(part)
        if separated is None:
            found.append(_Part(in_order(part), _undecided(part)))
            continue
        for stack in map(in_order, separated):
            series_rows = rows(stack)
            if series_rows is None:
                found.append(_Part(stack, BETWEEN))
            for row in series_rows or ():
                found += _judged(row, resample_uneven)
    return found


def _judged(planes: list[Plane], resample_uneven: bool) -> list[_Part]:
    why = judge(planes)
    strangers: list[Plane] = []
    if why is not None:
        planes, strangers = without_strangers(planes)
        why = None if strangers else why
    if why is not None and why.reason is Reason.UNEVEN and resample_uneven:
        why = None
    lone = [
        _Part([stranger], Refused(Reason.TWO_D, "a slice between slices of another scan")) for stranger in strangers
    ]
    return [_Part(planes, why), *lone]


def _undecided(planes: Sequence[Plane]) -> Refused:
    positions = int(number_positions(planes).max()) + 1
    if positions == 1:
        return Refused(Reason.MIXED, f"{len(planes)} images at the same position")
    detail = f"{len(planes)} images at {positions} positions: the headers do not show which ones form a volume"
    return Refused(Reason.MIXED, detail)
