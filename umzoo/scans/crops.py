"""Crops of a given size around a voxel of a scan, for training, validation, prediction and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from umzoo.scans.scan import Scan
from umzoo.scans.windows import Size


def center_of(scan: Scan, mask: Tensor | None = None) -> tuple[int, int, int]:
    """Return the center voxel of the bounding box of *mask* ``(D, H, W)``; of the image if there is no mask."""
    inside = mask.nonzero() if mask is not None else None
    if inside is None or not len(inside):
        depth, height, width = (size // 2 for size in scan.image.shape[1:])
    else:
        depth, height, width = (int(value) for value in (inside.amin(0) + inside.amax(0) + 1) // 2)
    return depth, height, width


def crop_about(array: NDArray[Any], center: Sequence[int], size: Size, fill: float) -> NDArray[Any]:
    """Return *size* voxels of *array* ``(C, D, H, W)`` around the voxel *center*; see :func:`cut`."""
    return cut(array, np.array(center) - np.array(size) // 2, size, fill)


def cut(array: NDArray[Any], start: NDArray[np.int64], size: Size, fill: float) -> NDArray[Any]:
    """Return *size* voxels of *array* ``(C, D, H, W)`` from *start*; voxels outside the array are set to *fill*."""
    low, high = (np.clip(place, 0, array.shape[1:]) for place in (start, start + np.array(size)))
    crop = np.full((len(array), *size), fill, array.dtype)
    if (high > low).all():
        (z, y, x), (i, j, k) = (map(slice, low - shift, high - shift) for shift in (start, 0))
        crop[:, z, y, x] = array[:, i, j, k]
    return crop
