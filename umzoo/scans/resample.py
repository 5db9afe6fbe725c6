"""Resampling from one grid to another: exact if the grids share their voxels, otherwise interpolated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.geometry import Grid

_EXACT = 1e-4


def move(values: NDArray[Any], source: Grid, target: Grid, nearest: bool) -> NDArray[Any]:
    """Return *values* of the grid *source* at the voxels of *target*.

    If axes are only permuted or flipped, all values are kept. Otherwise values are interpolated linearly; beyond the
    outermost voxels the nearest value is used.

    Args:
        values: array of shape ``source.shape``.
        source: grid of the values.
        target: grid of the result.
        nearest: use nearest-neighbor interpolation, as needed for labels.
    """
    index = np.linalg.inv(source.affine) @ target.affine
    whole = np.rint(index)
    if np.abs(index - whole).max() < _EXACT and sorted(source.shape) == sorted(target.shape):
        moved = _permuted(values, whole, target.shape)
        if moved is not None:
            return moved
    return _interpolated(values, index, target.shape, nearest)


def _permuted(values: NDArray[Any], index: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[Any] | None:
    """*values* with axes permuted and flipped by *index*; None if *index* does more than that."""
    turn = index[:3, :3].astype(int)
    if not np.array_equal(np.abs(turn) @ np.abs(turn).T, np.eye(3)):
        return None
    axes = [int(np.abs(turn)[:, axis].argmax()) for axis in range(3)]
    flipped = [axis for axis in range(3) if turn[axes[axis], axis] < 0]
    start = [values.shape[axes[a]] - 1 if a in flipped else 0 for a in range(3)]
    if any(index[axes[a], 3] != start[a] for a in range(3)):
        return None
    moved: NDArray[Any] = np.flip(values.transpose(axes), tuple(flipped))
    return moved if moved.shape == shape else None


def _interpolated(
    values: NDArray[Any], index: NDArray[np.float64], shape: tuple[int, ...], nearest: bool
) -> NDArray[Any]:
    import SimpleITK as sitk  # noqa: N813

    kept = values.astype(np.uint8) if values.dtype == bool else values
    image = sitk.GetImageFromArray(np.ascontiguousarray(kept.transpose(2, 1, 0)))
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in shape])
    resampler.SetTransform(sitk.AffineTransform(index[:3, :3].ravel().tolist(), index[:3, 3].tolist()))
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampler.UseNearestNeighborExtrapolatorOn()
    moved: NDArray[Any] = sitk.GetArrayFromImage(resampler.Execute(image)).transpose(2, 1, 0)
    return moved.astype(values.dtype)
