"""Content that cannot be trained on: flat, thin, constant, non-finite volumes and label maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.refusal import Reason, Refused

MIN_VOXELS = 8
FEW_VALUES = 10
SAMPLE_VOXELS = 2_000_000
_CERTAIN, _SURE = (1, 100, 255), 0.05
"""Maximum values of probability maps, and the minimum share of the voxels above 0 that have it."""


def check_shape(shape: tuple[int, ...], when: str = "", least: int = MIN_VOXELS) -> None:
    """Refuse shapes that are not a volume.

    Raises:
        Refused: if an axis has one voxel (2-D) or fewer than *least* (too thin).
    """
    shown = " x ".join(map(str, shape))
    if len(shape) < 3 or min(shape) == 1:
        raise Refused(Reason.TWO_D, f"{shown} voxels{when}")
    if min(shape) < least:
        raise Refused(Reason.THIN, f"{shown} voxels{when}, expected at least {least} along each axis")


def value_range(voxels: NDArray[Any]) -> tuple[float, float]:
    """Minimum and maximum of a ``(D, H, W)`` volume.

    Raises:
        Refused: if a value is NaN or infinite, or all are equal.
    """
    if np.issubdtype(voxels.dtype, np.floating):
        bad = sum(int(np.count_nonzero(~np.isfinite(part))) for part in voxels)
        if bad:
            raise Refused(Reason.NOT_FINITE, f"{bad} of {voxels.size} voxels are NaN or infinite: use --nan fill")
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        raise Refused(Reason.CONSTANT, f"every voxel is {low:g}")
    return low, high


def sample(voxels: NDArray[Any]) -> NDArray[np.float32]:
    """At most about ``SAMPLE_VOXELS`` voxels on a regular sub-grid, flat."""
    step = max(1, int(np.ceil((voxels.size / SAMPLE_VOXELS) ** (1 / 3))))
    return np.ascontiguousarray(voxels[::step, ::step, ::step], np.float32).ravel()


def check_not_labels(voxels: NDArray[Any]) -> None:
    """Refuse label maps: few values, integers in constant regions, or probabilities that are mostly 0 and 1.

    Volumes with up to ``FEW_VALUES`` distinct values are label maps. Integer volumes with more values are label maps if
    more than half of the pairs of neighbors are equal, not counting pairs of the most common values (backgrounds) and
    rows that repeat the previous one, as after enlarging; no image comes close to that.

    Raises:
        Refused: if the volume is a label map.
    """
    values = sample(voxels)
    distinct, counts = _distinct(values)
    if len(distinct) <= FEW_VALUES:
        raise Refused(Reason.LABELS, f"only {len(distinct)} distinct values")
    _refuse_probabilities(values)
    if not np.array_equal(values, np.rint(values)):
        return
    common = distinct[np.argsort(-counts)[: min(4, max(1, len(distinct) // 20))]]
    rows = voxels[::4, ::4]
    same = _equal_neighbors(rows, common)
    if same > 0.5:
        new = (rows[..., 1:] != rows[..., :-1]).any(axis=(0, 1))
        same = _equal_neighbors(rows[..., np.concatenate([[True], new])], common)
    if same > 0.5:
        raise Refused(Reason.LABELS, f"{len(distinct)} distinct integers, {same:.0%} of neighboring voxels are equal")


def _distinct(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Distinct values and their counts; of a subset of the voxels, if that has many values that are not integers."""
    part = values[:: max(1, values.size // 20_000)]
    found = np.unique(part, return_counts=True)
    if len(found[0]) > FEW_VALUES and not np.array_equal(part, np.rint(part)):
        return found
    return np.unique(values, return_counts=True)


def _refuse_probabilities(values: NDArray[np.float32]) -> None:
    """Refuse values from 0 to 1, 100 or 255: many at the minimum, some at the maximum, and few in between."""
    top = float(values.max())
    if values.min() < 0 or not any(abs(top - whole) <= 1e-3 * whole for whole in _CERTAIN):
        return
    inside = values[values > 1e-3 * top] / top
    zeros, ones = 1 - inside.size / values.size, float((inside > 0.999).mean())
    if zeros < 0.3 or ones < _SURE:
        return
    if np.count_nonzero((inside > 0.95) | (inside < 0.05)) > np.count_nonzero((inside > 0.25) & (inside < 0.75)):
        detail = f"a probability map: {zeros:.0%} of voxels are 0, and {ones:.0%} of the others are {top:.3g}"
        raise Refused(Reason.LABELS, detail)


def _equal_neighbors(rows: NDArray[Any], common: NDArray[np.float32]) -> float:
    """Share of equal pairs along W, not counting pairs of the *common* values."""
    left, right = rows[..., :-1], rows[..., 1:]
    same = left == right
    background = same & np.isin(left, common)
    pairs: int = same.size - int(np.count_nonzero(background))
    return int(np.count_nonzero(same & ~background)) / max(1, pairs)
