"""Canonical axes: every volume becomes (D, H, W) with indices increasing toward S, P, L.

An oblique grid keeps its voxels and only has its axes permuted and flipped to the nearest anatomical ones, as
nibabel's ``as_closest_canonical`` does. A sheared grid (a tilted CT gantry) is resampled to perpendicular axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.shear import perpendicular, straighten

Spacing = tuple[float, float, float]
REVERSED_AXES = np.eye(4)[[2, 1, 0, 3]]
"""Index ``(D, H, W)`` to index ``(x, y, z)``."""
MAX_SHEAR_DEGREES = 1.0
SPACING_RANGE = (0.01, 50.0)


@dataclass(frozen=True)
class Grid:
    """The grid of an array's voxels.

    Args:
        shape: of the array's three axes.
        affine: ``(4, 4)``, index to mm in the LPS frame (the frame of DICOM and ITK).
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> Spacing:
        """Millimeters along the array's axes."""
        first, second, third = (float(round(length, 6)) for length in np.linalg.norm(self.affine[:3, :3], axis=0))
        return first, second, third

    def moved(self, shape: tuple[int, ...], index: NDArray[np.float64]) -> Grid:
        """The grid of *shape* whose indices the ``(4, 4)`` matrix *index* maps to indices of this one."""
        first, second, third = (int(n) for n in shape)
        return Grid((first, second, third), self.affine @ index)


def canonical(voxels: NDArray[Any], affine: NDArray[np.float64]) -> tuple[NDArray[Any], Spacing, str]:
    """Reorient *voxels* to (D, H, W), LPS.

    Args:
        voxels: ``(i, j, k)`` array.
        affine: ``(4, 4)``, index to mm in the LPS frame (the frame of DICOM and ITK).

    Returns:
        The ``(D, H, W)`` array (a view unless it was sheared), the spacing in mm (D, H, W), and a note for the
        report, which is empty if the volume was not sheared.

    Raises:
        Refused: if the affine is singular, or the spacing is outside ``SPACING_RANGE``.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    _check(affine)
    orientation = io_orientation(affine)
    axes = (affine @ inv_ornt_aff(orientation, voxels.shape))[:3, :3]
    voxels = apply_orientation(voxels, orientation)
    shear, note = _shear_degrees(axes), ""
    if shear > MAX_SHEAR_DEGREES:
        voxels = straighten(voxels, axes)
        note = f"sheared by {shear:.1f} degrees: resampled to perpendicular axes"
    sx, sy, sz = (float(round(length, 6)) for length in np.linalg.norm(axes, axis=0))
    return voxels.transpose(2, 1, 0), (sz, sy, sx), note


def canonical_grid(grid: Grid) -> Grid:
    """Return the grid ``(D, H, W)`` of :func:`canonical` for *grid* ``(i, j, k)``."""
    from nibabel.orientations import inv_ornt_aff, io_orientation

    orientation = io_orientation(grid.affine)
    shape = [0, 0, 0]
    for axis, (target, _) in enumerate(orientation):
        shape[int(target)] = grid.shape[axis]
    nearest = grid.moved(tuple(shape), inv_ornt_aff(orientation, grid.shape))
    if _shear_degrees(nearest.affine[:3, :3]) > MAX_SHEAR_DEGREES:
        inverse, low, size = perpendicular(nearest.affine[:3, :3], nearest.shape)
        index = np.eye(4)
        index[:3, :3], index[:3, 3] = inverse, inverse @ low
        nearest = nearest.moved(size, index)
    return nearest.moved(nearest.shape[::-1], REVERSED_AXES)


def _check(affine: NDArray[np.float64]) -> None:
    axes = np.asarray(affine, float)[:3, :3]
    if not np.isfinite(axes).all():
        raise Refused(Reason.GEOMETRY, "the orientation matrix has NaN or infinite values")
    lengths = np.linalg.norm(axes, axis=0)
    if lengths.min() < SPACING_RANGE[0] or lengths.max() > SPACING_RANGE[1]:
        shown = " x ".join(f"{length:.4g}" for length in lengths)
        raise Refused(Reason.GEOMETRY, f"the spacing {shown} mm is outside {SPACING_RANGE[0]} to {SPACING_RANGE[1]}")
    if abs(np.linalg.det(axes / lengths)) < 0.5:
        raise Refused(Reason.GEOMETRY, "the axes of the orientation matrix are far from perpendicular")


def spans_space(affine: NDArray[np.float64]) -> bool:
    """Whether the axes of *affine* are finite, nonzero, and not nearly in one plane."""
    axes = np.asarray(affine, float)[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    return bool(np.isfinite(axes).all() and lengths.min() > 0 and abs(np.linalg.det(axes / lengths)) >= 0.5)


def is_skewed(affine: NDArray[np.float64]) -> bool:
    """Whether the axes of *affine* are so far from perpendicular that the volume has to be resampled."""
    return _shear_degrees(np.asarray(affine, float)[:3, :3]) > MAX_SHEAR_DEGREES


def _shear_degrees(axes: NDArray[np.float64]) -> float:
    """The largest departure from 90 degrees between two axes."""
    unit = axes / np.linalg.norm(axes, axis=0)
    cosines = np.abs((unit.T @ unit)[np.triu_indices(3, 1)])
    return float(np.degrees(np.arcsin(min(1.0, cosines.max()))))
