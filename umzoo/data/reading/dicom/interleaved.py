"""Interleaved volumes: slices between those of another volume, which must not be merged into one finer volume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.dicom.plane import Plane, more_of, parted
from umzoo.data.reading.dicom.slice_spacing import along_normal, in_order, judge

Planes = list[Plane]
_LEAST = 4
_CLOSE = 0.1
_THINNEST = 0.75
_LEAST_TRIPLES, _MOST = 10, 0.7


def rows(planes: Planes) -> list[Planes] | None:
    """The volumes in *planes*, in order: one, or several interleaved ones; None if it cannot be decided.

    Several volumes are suspected if instance numbers go through the body more than once, if each occurs once per
    volume, or if another element alternates. Slices may also have been acquired, and numbered, in passes. Their
    thickness or the recorded spacing decides.
    """
    parts = next(_turns(planes), None)
    if parts is None or is_one(planes):
        return [planes]
    return parts if _is_depth(planes[0], _step(parts[0])) else None


def is_one(planes: Planes) -> bool:
    """Whether the recorded thickness or spacing of *planes*, in order, matches their distance, with even spacing."""
    thickness, between = planes[0].depth
    if judge(planes) is not None:
        return False
    step = _step(planes)
    return _are_close(between, step) or (between <= 0 < thickness <= (1 + _CLOSE) * step)


def overlap(planes: Planes) -> bool:
    """Whether the recorded thickness of *planes*, in order, is 1.5 times their distance, without a matching spacing."""
    thickness, between = planes[0].depth
    step = _step(planes)
    return thickness > 1.5 * step and not _are_close(between, step)


def take_turns(voxels: NDArray[Any], planes: Planes) -> bool:
    """Whether slices ``(k, j, i)`` of *planes* overlap, and neighbors are less similar than every second slice."""
    if is_one(planes) or len(planes) < _LEAST_TRIPLES + 2:
        return False
    some = voxels[:, ::4, ::4].astype(np.float64)
    next_, second = (np.square(some[n:] - some[:-n]).mean(axis=(1, 2)) for n in (1, 2))
    unlike = (next_[:-1] + next_[1:]) / 2
    return bool(unlike.sum() > second.sum() and (unlike > second).mean() > _MOST)


def _turns(planes: Planes) -> Iterator[list[Planes]]:
    """Ways to split *planes* into interleaved volumes."""
    yield from filter(_overlap, (_runs(planes), _by_occurrence(planes)))
    keys: list[Callable[[Plane], Hashable]] = [partial(more_of, number=number) for number in range(len(planes[0].more))]
    for key in (*keys, lambda plane: plane.trigger):
        parts = parted(planes, key)
        if _overlap(parts) and all(judge(part) is None for part in parts):
            yield parts


def _runs(planes: Planes) -> list[Planes]:
    """Passes through the body by instance number: a step back, or a much smaller step, starts a new pass."""
    if len({plane.order for plane in planes}) < len(planes):
        return []
    numbered = sorted(planes, key=lambda plane: plane.order)
    runs: list[list[int]] = [[]]
    places = along_normal(numbered)
    for number, place in enumerate(places):
        run = runs[-1]
        if len(run) > 1:
            first = places[run[1]] - places[run[0]]
            if (place - places[run[-1]]) / first < _THINNEST:
                runs.append([])
        runs[-1].append(number)
    return [in_order([numbered[number] for number in run]) for run in runs]


def _by_occurrence(planes: Planes) -> list[Planes]:
    """The first, second, ... image of each instance number, if all occur equally often."""
    counts, seen = Counter(plane.order for plane in planes), Counter[int]()
    if len(set(counts.values())) > 1:
        return []
    parts: list[Planes] = [[] for _ in range(max(counts.values()))]
    for plane in planes:
        parts[seen[plane.order]].append(plane)
        seen[plane.order] += 1
    return parts


def _overlap(parts: Sequence[Planes]) -> bool:
    """Whether there are several *parts* with enough slices; of any two, half of the shorter is within the longer."""
    if len(parts) < 2 or min(map(len, parts)) < _LEAST:
        return False
    places = np.split(along_normal([plane for part in parts for plane in part]), np.cumsum([*map(len, parts)])[:-1])
    for pair in combinations(places, 2):
        short, long = sorted(pair, key=len)
        if ((long.min() < short) & (short < long.max())).mean() < 0.5:
            return False
    return True


def _is_depth(plane: Plane, step: float) -> bool:
    """Whether *step* is the recorded spacing of the slice *plane*, or, if not recorded, about its thickness."""
    thickness, between = plane.depth
    return _are_close(between, step) or (between <= 0 and _THINNEST <= thickness / step <= 1 + _CLOSE)


def _are_close(one: float, other: float) -> bool:
    return abs(one - other) <= _CLOSE * other


def _step(planes: Planes) -> float:
    """The usual distance of *planes*, in order."""
    return float(np.median(np.diff(along_normal(planes))))
