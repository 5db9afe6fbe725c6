"""Resampling to the spacing of a store: antialiased cubic interpolation, one axis pair at a time.

The filter is torch's (Keys' cubic, widened for downsampling), as in Pillow. Slices are
read, clipped and downsampled one by one, so a large CT never exists in float32 at its full size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.geometry import Grid, Spacing
from umzoo.errors import ConfigError

_SAME = 1e-3
_NUDGE = 1e-6
_COLUMNS = 1 << 16


def parse_spacing(text: str) -> Spacing | None:
    """Read ``native`` (None), ``1`` (isotropic) or ``3,1,1`` (D, H, W), in mm.

    Raises:
        ConfigError: if *text* is none of these.
    """
    if text == "native":
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 3) or not all(0.05 <= value <= 50 for value in values):
        raise ConfigError(f"--spacing expects 'native', or one or three numbers (D,H,W) of 0.05 to 50 mm, got '{text}'")
    depth, height, width = values * 3 if len(values) == 1 else values
    return (depth, height, width)


def resampled_shape(shape: tuple[int, ...], spacing: Spacing, target: Spacing | None) -> tuple[int, int, int]:
    """The shape ``(D, H, W)`` that :func:`resample` gives."""
    scales = _scales(spacing, target)
    depth, height, width = (n if s == 1 else int(n * (s + _NUDGE)) for n, s in zip(shape, scales, strict=True))
    return (depth, height, width)


def resample(
    voxels: NDArray[Any], spacing: Spacing, target: Spacing | None, clip: tuple[float, float]
) -> tuple[NDArray[Any], Spacing]:
    """Resample a ``(D, H, W)`` volume to *target* mm (D, H, W); None keeps its spacing.

    Values are clipped to *clip* first, so that padding far below air does not cause ringing; the caller
    clips again afterwards.

    Returns:
        The volume, float32 if anything was resampled, and its spacing.
    """
    scales = _scales(spacing, target)
    if target is None or scales == (1.0, 1.0, 1.0):
        return voxels, spacing
    depth, height, width = resampled_shape(voxels.shape, spacing, target)
    middle = np.empty((voxels.shape[0], height, width), np.float32)
    for z, plane in enumerate(voxels):
        clipped = np.clip(np.asarray(plane, np.float32), *clip)
        middle[z] = _resize(clipped, scales[1], scales[2])
    if scales[0] != 1:
        flat = middle.reshape(len(middle), -1)
        out = np.empty((depth, flat.shape[1]), np.float32)
        for start in range(0, flat.shape[1], _COLUMNS):
            columns = slice(start, start + _COLUMNS)
            out[:, columns] = _resize(np.ascontiguousarray(flat[:, columns]), scales[0], 1.0)
        middle = out.reshape(depth, height, width)
    new = tuple(old if s == 1 else goal for old, s, goal in zip(spacing, scales, target, strict=True))
    return middle, (new[0], new[1], new[2])


def resampled_grid(grid: Grid, target: Spacing | None) -> Grid:
    """Return the grid ``(D, H, W)`` of :func:`resample` for *grid*: outer edges stay in place."""
    scales = [scale if scale == 1 else scale + _NUDGE for scale in _scales(grid.spacing, target)]
    index = np.diag([*(1 / scale for scale in scales), 1.0])
    index[:3, 3] = [0.5 / scale - 0.5 for scale in scales]
    return grid.moved(resampled_shape(grid.shape, grid.spacing, target), index)


def _scales(spacing: Spacing, target: Spacing | None) -> Spacing:
    """Factor on the number of voxels per axis; exactly 1 if the spacing agrees within 0.1 %."""
    ratios = [old / new for old, new in zip(spacing, target or spacing, strict=True)]
    depth, height, width = (1.0 if abs(ratio - 1) < _SAME else ratio for ratio in ratios)
    return (depth, height, width)


def _resize(plane: NDArray[np.float32], rows: float, columns: float) -> NDArray[np.float32]:
    """Scale one float32 plane; the outer edge of the first pixel stays in place."""
    import torch
    from torch.nn import functional

    if rows == columns == 1:
        return plane
    factors = tuple(factor if factor == 1 else factor + _NUDGE for factor in (rows, columns))
    resized: Any = functional.interpolate(
        torch.from_numpy(plane)[None, None], scale_factor=factors, mode="bicubic", antialias=True
    )
    return np.asarray(resized[0, 0].numpy())
