"""Content that cannot be trained on: flat, thin, constant, non-finite volumes and label maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.refusal import Reason, Refused

MIN_VOXELS = 8
FEW_VALUES = 10
LABEL_VALUES = 256
SAMPLE_VOXELS = 2_000_000


def check_shape(shape: tuple[int, ...], when: str = "", least: int = MIN_VOXELS) -> None:
    """Refuse shapes that are no volume.

    Raises:
        Refused: if an axis holds one voxel (2-D) or fewer than *least* (too thin).
    """
    shown = " x ".join(map(str, shape))
    if len(shape) < 3 or min(shape) == 1:
        raise Refused(Reason.TWO_D, f"{shown} voxels{when}")
    if min(shape) < least:
        raise Refused(Reason.THIN, f"{shown} voxels{when}, at least {least} along each axis are needed")


def value_range(voxels: NDArray[Any]) -> tuple[float, float]:
    """Least and greatest value of a ``(D, H, W)`` volume.

    Raises:
        Refused: if a value is NaN or infinite, or all are equal.
    """
    if np.issubdtype(voxels.dtype, np.floating):
        bad = sum(int(np.count_nonzero(~np.isfinite(part))) for part in voxels)
        if bad:
            raise Refused(Reason.NOT_FINITE, f"{bad} of {voxels.size} voxels are NaN or infinite")
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        raise Refused(Reason.CONSTANT, f"every voxel is {low:g}")
    return low, high


def sample(voxels: NDArray[Any]) -> NDArray[np.float32]:
    """At most about ``SAMPLE_VOXELS`` voxels on a regular sub-grid, flat."""
    step = max(1, int(np.ceil((voxels.size / SAMPLE_VOXELS) ** (1 / 3))))
    return np.ascontiguousarray(voxels[::step, ::step, ::step], np.float32).ravel()


def check_not_labels(voxels: NDArray[Any]) -> None:
    """Refuse label maps: whole numbers, few of them, in patches of one value.

    Up to ``FEW_VALUES`` distinct values are always taken for labels. Up to ``LABEL_VALUES`` are if more than half of
    the pairs of neighbors that are not both background (the commonest value) are equal, which no image comes near.

    Raises:
        Refused: if the volume is a label map.
    """
    values = sample(voxels)
    if not np.array_equal(values, np.rint(values)):
        return
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) > LABEL_VALUES:
        return
    if len(distinct) <= FEW_VALUES:
        raise Refused(Reason.LABELS, f"only {len(distinct)} distinct values, all whole numbers")
    same = _equal_neighbors(voxels, distinct[counts.argmax()])
    if same > 0.5:
        raise Refused(Reason.LABELS, f"{len(distinct)} whole numbers, {same:.0%} of neighbors in structures are equal")


def _equal_neighbors(voxels: NDArray[Any], background: np.float32) -> float:
    """Share of equal pairs along W among those that are not both *background*, on every fourth slice and row."""
    rows = voxels[::4, ::4]
    left, right = rows[..., :-1], rows[..., 1:]
    inside = (left != background) | (right != background)
    pairs = int(np.count_nonzero(inside))
    return int(np.count_nonzero((left == right) & inside)) / max(1, pairs)
