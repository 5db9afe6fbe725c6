"""Separates several images at one position by their headers or their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.dicom.interleaved import is_one
from umzoo.data.reading.dicom.plane import Plane, more_of, parted
from umzoo.data.reading.dicom.slice_spacing import OFF_PLACE, along_normal, judge

Planes = list[Plane]
_LEAST_SLICES = 8


def acquisitions(planes: Sequence[Plane]) -> list[Planes]:
    """Split *planes* by acquisition, but keep acquisitions together that continue each other along the normal.

    Two acquisitions with interleaved slices are two images of one region, unless the slice thickness is at most the
    slice distance. A scan in several table passes is one volume, unless only its parts are complete.
    """
    parts = parted(planes, lambda plane: plane.acquisition)
    if len(parts) == 1:
        return parts
    places = dict(zip(map(id, planes), along_normal(planes), strict=True))
    spans = [sorted(places[id(plane)] for plane in part) for part in parts]
    apart = all(a[-1] < b[0] or b[-1] < a[0] for a, b in combinations(spans, 2))
    whole = sorted(planes, key=lambda plane: float(places[id(plane)]))
    if not apart:
        return [whole] if is_one(whole) else parts
    if judge(whole) is None:
        return [whole]
    ordered = [sorted(part, key=lambda plane: float(places[id(plane)])) for part in parts]
    alone = all(len(part) >= _LEAST_SLICES and judge(part) is None for part in ordered)
    return ordered if alone else [whole]


def separate(planes: Sequence[Plane]) -> list[Planes] | None:
    """Split *planes* so that each part has every position once; None if the split is ambiguous."""
    positions = number_positions(planes)
    place = dict(zip(map(id, planes), positions.tolist(), strict=True))
    return _separate(list(planes), place, 0)


def number_positions(planes: Sequence[Plane]) -> NDArray[np.int64]:
    """The number of the position of each plane, counted along the normal."""
    places = along_normal(planes)
    order = np.argsort(places, kind="stable")
    gaps = np.diff(places[order])
    wide = gaps[gaps > 0.01]
    same = max(0.01, OFF_PLACE * float(np.median(wide))) if len(wide) else 0.01
    numbers = np.empty(len(planes), np.int64)
    numbers[order] = np.concatenate([[0], np.cumsum(gaps > same)])
    return numbers


def _separate(planes: Planes, place: dict[int, int], key: int) -> list[Planes] | None:
    total = len({place[id(plane)] for plane in planes})
    if total == len(planes):
        return [planes]
    for number in range(key, len(planes[0].more)):
        parts = parted(planes, partial(more_of, number=number))
        covered = sum(len({place[id(plane)] for plane in part}) for part in parts)
        if len(parts) == 1 or 2 * covered < len(parts) * total:
            continue
        found = [_separate(part, place, number + 1) for part in parts]
        return None if any(one is None for one in found) else [part for one in found for part in one or ()]
    return _in_blocks(planes, place, total) or _by_trigger(planes, place, total)


def _in_blocks(planes: Planes, place: dict[int, int], total: int) -> list[Planes] | None:
    """Consecutive volumes, each in the same order of positions, by the order of storage."""
    ordered = sorted(planes, key=lambda plane: plane.order)
    if len({plane.order for plane in planes}) < len(planes) or len(planes) % total or total == 1:
        return None
    places = np.asarray([place[id(plane)] for plane in ordered]).reshape(-1, total)
    if len(set(places[0].tolist())) < total or (places != places[0]).any():
        return None
    return [ordered[start : start + total] for start in range(0, len(ordered), total)]


def _by_trigger(planes: Planes, place: dict[int, int], total: int) -> list[Planes] | None:
    """Phases of the heart: equally many images at each position, distinguished by their trigger delay."""
    slices: dict[int, Planes] = defaultdict(list)
    for plane in planes:
        slices[place[id(plane)]].append(plane)
    phases = len(planes) // total
    for images in slices.values():
        if len(images) != phases or len({plane.trigger for plane in images} - {-1.0}) != phases:
            return None
        images.sort(key=lambda plane: plane.trigger)
    return [[slices[number][phase] for number in sorted(slices)] for phase in range(phases)]
