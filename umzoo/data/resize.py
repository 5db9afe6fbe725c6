"""Separable resizing with a triangle filter of chosen width, as three small matrix products."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from umzoo.data.store import Triple


def least_width(before: int, after: int) -> float:
    """The half-width, in voxels after resizing, below which the filter leaves gaps or aliases.

    Downwards it is 1 (antialiased), upwards one voxel of the original (linear interpolation).
    """
    return max(1.0, after / before)


@lru_cache(maxsize=64)
def _distances(before: int, after: int) -> NDArray[np.float32]:
    """Distance ``(after, before)`` in voxels after resizing between the centres of new and old voxels."""
    new = np.arange(after, dtype=np.float32) + 0.5
    old = (np.arange(before, dtype=np.float32) + 0.5) * np.float32(after / before)
    distance: NDArray[np.float32] = np.abs(new[:, None] - old[None])
    return distance


def filter_matrix(before: int, after: int, width: float = 0.0) -> NDArray[np.float32]:
    """Return the matrix ``(after, before)`` of the triangle filter; its rows sum to 1.

    Args:
        before: voxels before.
        after: voxels after.
        width: half-width of the triangle in voxels after resizing; at least :func:`least_width` is used.
    """
    weights: NDArray[np.float32] = 1 - _distances(before, after) / np.float32(max(width, least_width(before, after)))
    np.maximum(weights, 0, out=weights)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def resize(
    voxels: NDArray[np.int16], size: Triple, grid: Triple | None = None, width: float = 0.0
) -> NDArray[np.int16]:
    """Return *voxels* ``(D, H, W)`` resized to *size*, by way of a coarser *grid* if one is given.

    The step to the grid uses a triangle of half-width *width* in voxels of the grid, the step from there to *size* the
    sharpest one (see :func:`filter_matrix`). Both are linear and are done at once. Values stay within the range of
    *voxels*. Nothing is computed where size and filter leave it as it is.
    """
    grid = grid or size
    if voxels.shape == grid == size and width <= 1:
        return voxels
    depth, height, columns = (_matrix(*sizes, width) for sizes in zip(voxels.shape, grid, size, strict=True))
    result = depth @ voxels.reshape(voxels.shape[0], -1).astype(np.float32)
    result = height @ result.reshape(size[0], voxels.shape[1], voxels.shape[2])
    result = result @ columns.T
    rounded: NDArray[np.int16] = np.rint(result, out=result).astype(np.int16)
    return rounded


def _matrix(before: int, between: int, after: int, width: float) -> NDArray[np.float32]:
    first = filter_matrix(before, between, width)
    if between == after:
        return first
    both: NDArray[np.float32] = filter_matrix(between, after) @ first
    return both
