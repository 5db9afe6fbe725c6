"""Separable resizing with a triangle filter of given width, as three small matrix products."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from umzoo.data.store.record import Triple

_BAND = 16
"""New voxels computed by one matrix product; the filters are narrow, so a whole matrix would be mostly zeros."""


def least_width(before: int, after: int) -> float:
    """The half-width, in voxels after resizing, below which the filter leaves gaps or aliases.

    For downsampling it is 1 (antialiased), for upsampling one voxel of the original (linear interpolation).
    """
    return max(1.0, after / before)


def width_after_halving(width: float, before: Triple, after: Triple) -> float:
    """The half-width for copies at half the resolution that corresponds to *width* for the original voxels.

    Copies at half the resolution have been filtered already (:mod:`umzoo.data.store.halves`), so the width, in voxels
    after resizing from *before* original voxels to *after*, is reduced in quadrature: by 3.5 squared original voxels.
    The frequency response then differs by at most 0.12 (twice as coarse, width 1.5; four times: 0.05), which is no more
    than triangle filters of one width differ between voxels once, twice and four times as fine.
    """
    ratio = max(old / new for old, new in zip(before, after, strict=True))
    return math.sqrt(max(width * width - 3.5 / ratio**2, 0.0))


@lru_cache(maxsize=64)
def _distances(before: int, after: int) -> NDArray[np.float32]:
    """Distance ``(after, before)`` in voxels after resizing between the centers of new and old voxels."""
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
    """Return *voxels* ``(D, H, W)`` resized to *size*, optionally through a coarser *grid*.

    The step to the grid uses a triangle of half-width *width* in voxels of the grid, the step from there to *size* the
    sharpest one (see :func:`filter_matrix`). Both are linear and combined into one. Values stay within the range of
    *voxels*. Axes that do not change are skipped.
    """
    grid = grid or size
    if voxels.shape == grid == size and width <= 1:
        return voxels
    depth, height, columns = (_bands(*sizes, width) for sizes in zip(voxels.shape, grid, size, strict=True))
    result = np.empty(size, np.int16)
    for planes, source, weights in depth:  # slab by slab, so that intermediate results stay in cache
        slab = weights @ voxels[source].reshape(weights.shape[1], -1).astype(np.float32)
        slab = slab.reshape(-1, *voxels.shape[1:])
        between = np.empty((len(slab), size[1], voxels.shape[2]), np.float32)
        for rows, source_rows, band in height:
            np.matmul(band, slab[:, source_rows], out=between[:, rows])
        after = np.empty((len(slab), size[1], size[2]), np.float32)
        for places, source_places, band in columns:
            np.matmul(between[:, :, source_places], band.T, out=after[:, :, places])
        result[planes] = np.rint(after, out=after)
    return result


def _bands(before: int, between: int, after: int, width: float) -> list[tuple[slice, slice, NDArray[np.float32]]]:
    """The filter from *before* voxels to *after*, by bands of new voxels with the old ones each band needs."""
    matrix = filter_matrix(before, between, width)
    if between != after:
        matrix = filter_matrix(between, after) @ matrix
    bands = []
    for start in range(0, after, _BAND):
        band = matrix[start : start + _BAND]
        (used,) = band.any(axis=0).nonzero()
        source = slice(int(used[0]), int(used[-1]) + 1)
        bands.append((slice(start, start + _BAND), source, np.ascontiguousarray(band[:, source])))
    return bands
