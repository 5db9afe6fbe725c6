"""Resamples sheared grids, such as those of a tilted CT gantry, to perpendicular ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def straighten(voxels: NDArray[Any], axes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Resample ``(x, y, z)`` voxels on sheared *axes* to the nearest perpendicular axes, linearly.

    Spacing is kept; the grid covers the whole sheared volume, and the corners outside it get the smallest value.
    """
    import SimpleITK as sitk  # noqa: N813

    inverse, low, size = perpendicular(axes, voxels.shape)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.transpose(2, 1, 0), np.float32))
    transform = sitk.AffineTransform(inverse.ravel().tolist(), (inverse @ low).tolist())
    grid = sitk.Image(list(size), sitk.sitkUInt8)
    moved = sitk.Resample(image, grid, transform, sitk.sitkLinear, float(voxels.min()), sitk.sitkFloat32)
    straight: NDArray[np.float32] = sitk.GetArrayFromImage(moved).transpose(2, 1, 0)
    return straight


def perpendicular(
    axes: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, ...]]:
    """The perpendicular grid nearest to sheared *axes* that covers *shape*.

    Returns:
        The ``(3, 3)`` matrix from its indices to sheared ones, its first index and its shape.
    """
    spacing = np.linalg.norm(axes, axis=0)
    left, _, right = np.linalg.svd(axes / spacing)
    to_grid = np.diag(1 / spacing) @ (left @ right).T @ axes
    corners = to_grid @ np.stack(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    low, high = corners.min(axis=1), corners.max(axis=1)
    size = tuple(int(extent) for extent in np.ceil(high - low - 1e-6) + 1)
    return np.linalg.inv(to_grid), low, size
