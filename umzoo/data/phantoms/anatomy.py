"""The anatomy of the synthetic phantoms: a small trunk whose tissues are given by formulas in millimeters.

It depends on a seed only, so phantoms of different modality, size or spacing show the same body. Tissues have
characteristic sizes (vessels of 1 mm, vertebrae, organs, a trunk of 70 mm), so the content of a crop shows its scale.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Tissues = NDArray[np.uint8]
Size = tuple[int, int, int]
Spacing = tuple[float, float, float]

TISSUES = (
    "air", "fat", "muscle", "bone", "disc", "fluid", "lung", "liver", "spleen", "kidney", "vessel", "lesion",
)  # fmt: skip
CODE = {name: code for code, name in enumerate(TISSUES)}

_ORGANS = (
    ("lung", (20, -1, -15), (23, 18, 11)),
    ("lung", (20, -1, 15), (23, 18, 11)),
    ("muscle", (12, -9, 3), (12, 10, 10)),
    ("vessel", (12, -9, 4), (8, 7, 7)),
    ("liver", (-11, -4, -14), (13, 17, 16)),
    ("spleen", (-9, 9, 20), (9, 7, 7)),
    ("kidney", (-23, 12, -13), (8, 5, 5)),
    ("kidney", (-23, 12, 13), (8, 5, 5)),
)
"""Tissue, center and semi-axes in mm (z, y, x); z points to the head, y to the back, x to the left."""


def draw_anatomy(seed: int, size: Size, spacing: Spacing) -> Tissues:
    """Return tissue codes ``(D, H, W)`` (see :data:`TISSUES`) of the body with number *seed*, centered in the grid."""
    rng = np.random.default_rng((seed, 0))
    grid = _warped_grid(rng, size, spacing)
    tissues = np.zeros(size, np.uint8)
    depth = _paint_trunk(tissues, grid, rng)
    for name, center, axes in _ORGANS:
        axes_drawn = np.asarray(axes) * rng.uniform(0.85, 1.15, 3)
        center_drawn = np.asarray(center) + rng.normal(0, 1, 3)
        tissues[_ellipsoid(grid, center_drawn, axes_drawn) & (depth > 4)] = CODE[name]
    _paint_spine(tissues, grid, depth)
    for (start, stop), radius, name in _tubes(rng):
        tissues[(_distance(grid, start, stop) < radius) & (tissues != CODE["bone"]) & (depth > 2)] = CODE[name]
    return tissues


def plane_waves(grid: Array, rng: np.random.Generator, wavelength: float, count: int = 6) -> Array:
    """Return a smooth random field of unit variance ``(D, H, W)``; *wavelength* in mm, *grid* ``(3, D, H, W)``."""
    field = np.zeros(grid.shape[1:], np.float32)
    for _ in range(count):
        direction = rng.normal(size=3)
        direction *= 2 * np.pi / (np.linalg.norm(direction) * wavelength * rng.uniform(0.7, 1.4))
        field += np.sin(np.tensordot(direction.astype(np.float32), grid, 1) + np.float32(rng.uniform(0, 2 * np.pi)))
    field *= np.float32(np.sqrt(2 / count))
    return field


def grid_mm(size: Size, spacing: Spacing) -> Array:
    """Return the coordinates ``(3, D, H, W)`` in mm of voxel centers, zero in the middle of the grid."""
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(size, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def _warped_grid(rng: np.random.Generator, size: Size, spacing: Spacing) -> Array:
    grid = grid_mm(size, spacing)
    shift = np.stack([plane_waves(grid, rng, wavelength=35, count=4) for _ in range(3)])
    grid += np.float32(1.2) * shift
    grid *= np.float32(rng.uniform(0.9, 1.1))
    return grid


def _paint_trunk(tissues: Tissues, grid: Array, rng: np.random.Generator) -> Array:
    """Paint fat, muscle and ribs; return the depth below the skin in mm ``(D, H, W)``."""
    z, y, x = grid
    radius = np.sqrt((y / 30) ** 2 + (x / 36) ** 2) * (1 + 0.03 * np.sin(z / 14))
    depth: Array = (1 - radius) * np.float32(32)
    fat = rng.uniform(2.0, 4.5)
    tissues[depth > 0] = CODE["fat"]
    tissues[depth > fat] = CODE["muscle"]
    band = (depth > fat + 0.6) & (depth < fat + 3) & (z > -8)
    tissues[band & (np.mod(z + 0.35 * y, 10) < 3.5)] = CODE["bone"]
    return depth


def _paint_spine(tissues: Tissues, grid: Array, depth: Array) -> None:
    z, y, x = grid
    body = np.hypot(y - 16, x) < 6
    arch = (np.hypot(y - 23, x) < 4) & (depth > 2)
    vertebra = np.mod(z, 12) < 9
    tissues[body] = CODE["disc"]
    tissues[(body | arch) & vertebra] = CODE["bone"]
    tissues[np.hypot(y - 23, x) < 2.2] = CODE["fluid"]


def _tubes(rng: np.random.Generator) -> Iterator[tuple[tuple[NDArray[np.float64], NDArray[np.float64]], float, str]]:
    """Segments (start, stop) in mm, their radius and tissue: large vessels, branches in lung and liver, lesions."""
    yield (np.array([-60.0, 7, 4]), np.array([60.0, 7, 4])), rng.uniform(2.4, 3.2), "vessel"
    yield (np.array([-60.0, 6, -5]), np.array([10.0, 2, -3])), rng.uniform(2.4, 3.2), "vessel"
    hubs = (np.array([16.0, 0, -8]), np.array([16.0, 0, 8]), np.array([-10.0, 0, -8]))
    reach = (np.array([18.0, 12, -12]), np.array([18.0, 12, 12]), np.array([11.0, 13, -13]))
    for hub, span in zip(hubs, reach, strict=True):
        for _ in range(4):
            tip = hub + span * np.array([*rng.uniform(-1, 1, 2), rng.uniform(0.4, 1.2)])
            middle = (hub + tip) / 2 + rng.normal(0, 1.5, 3)
            radius = rng.uniform(0.9, 1.8)
            yield (hub, middle), radius, "vessel"
            yield (middle, tip), radius * 0.75, "vessel"
    for hub, span in zip(hubs, reach, strict=True):
        for radius in rng.uniform(1.2, 5.0, rng.integers(1, 4)):
            center = hub + span * np.array([*rng.uniform(-0.8, 0.8, 2), rng.uniform(0.3, 1.1)])
            yield (center, center), radius, "lesion"


def _ellipsoid(grid: Array, center: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = sum(((grid[i] - center[i]) / axes[i]) ** 2 for i in range(3)) < 1
    return inside


def _distance(grid: Array, start: NDArray[np.float64], stop: NDArray[np.float64]) -> Array:
    """Distance in mm ``(D, H, W)`` of every voxel to the segment *start*-*stop*."""
    axis = (stop - start).astype(np.float32)
    offset = grid - start.astype(np.float32).reshape(3, 1, 1, 1)
    along = np.clip(np.tensordot(axis, offset, 1) / max(float(axis @ axis), 1e-6), 0, 1)
    distance: Array = np.sqrt(((offset - along * axis.reshape(3, 1, 1, 1)) ** 2).sum(0))
    return distance
