"""Canonical axes: every volume becomes (D, H, W) with indices increasing towards S, P, L.

An oblique grid keeps its voxels and only has its axes permuted and flipped to the nearest anatomical ones, as
nibabel's ``as_closest_canonical`` does. A sheared grid (a tilted CT gantry) is resampled to perpendicular axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.refusal import Reason, Refused

Spacing = tuple[float, float, float]
MAX_SHEAR_DEGREES = 1.0
SPACING_RANGE = (0.01, 50.0)


def canonical(voxels: NDArray[Any], affine: NDArray[np.float64]) -> tuple[NDArray[Any], Spacing, str]:
    """Bring *voxels* to (D, H, W), LPS.

    Args:
        voxels: ``(i, j, k)`` array.
        affine: ``(4, 4)``, index to mm in the LPS frame (the frame of DICOM and ITK).

    Returns:
        The ``(D, H, W)`` array (a view unless it was sheared), the spacing in mm (D, H, W), and a note for the
        report, empty if there is nothing to say.

    Raises:
        Refused: if the affine does not span three dimensions or the spacing is absurd.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    _check(affine)
    orientation = io_orientation(affine)
    axes = (affine @ inv_ornt_aff(orientation, voxels.shape))[:3, :3]
    voxels = apply_orientation(voxels, orientation)
    shear, note = _shear_degrees(axes), ""
    if shear > MAX_SHEAR_DEGREES:
        voxels = _straighten(voxels, axes)
        note = f"sheared by {shear:.1f} degrees: resampled to perpendicular axes"
    sx, sy, sz = (float(round(length, 6)) for length in np.linalg.norm(axes, axis=0))
    return voxels.transpose(2, 1, 0), (sz, sy, sx), note


def _check(affine: NDArray[np.float64]) -> None:
    axes = np.asarray(affine, float)[:3, :3]
    if not np.isfinite(axes).all():
        raise Refused(Reason.GEOMETRY, "the orientation matrix holds NaN or infinity")
    lengths = np.linalg.norm(axes, axis=0)
    if lengths.min() < SPACING_RANGE[0] or lengths.max() > SPACING_RANGE[1]:
        shown = " x ".join(f"{length:.4g}" for length in lengths)
        raise Refused(Reason.GEOMETRY, f"a spacing of {shown} mm is outside {SPACING_RANGE[0]} to {SPACING_RANGE[1]}")
    if abs(np.linalg.det(axes / lengths)) < 0.5:
        raise Refused(Reason.GEOMETRY, "the axes of the orientation matrix are far from perpendicular")


def _shear_degrees(axes: NDArray[np.float64]) -> float:
    """The largest departure from 90 degrees between two axes."""
    unit = axes / np.linalg.norm(axes, axis=0)
    cosines = np.abs((unit.T @ unit)[np.triu_indices(3, 1)])
    return float(np.degrees(np.arcsin(min(1.0, cosines.max()))))


def _straighten(voxels: NDArray[Any], axes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Resample ``(x, y, z)`` voxels on sheared *axes* to the nearest perpendicular axes, linearly.

    Spacing is kept; the grid covers the whole sheared volume, and the corners outside it get the least value.
    """
    import SimpleITK as sitk  # noqa: N813

    spacing = np.linalg.norm(axes, axis=0)
    left, _, right = np.linalg.svd(axes / spacing)
    to_grid = np.diag(1 / spacing) @ (left @ right).T @ axes
    corners = to_grid @ np.stack(np.meshgrid(*[(0, n - 1) for n in voxels.shape])).reshape(3, -1)
    low, high = corners.min(axis=1), corners.max(axis=1)
    inverse = np.linalg.inv(to_grid)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.transpose(2, 1, 0), np.float32))
    size = [int(extent) for extent in np.ceil(high - low - 1e-6) + 1]
    transform = sitk.AffineTransform(inverse.ravel().tolist(), (inverse @ low).tolist())
    grid = sitk.Image(size, sitk.sitkUInt8)
    moved = sitk.Resample(image, grid, transform, sitk.sitkLinear, float(voxels.min()), sitk.sitkFloat32)
    straight: NDArray[np.float32] = sitk.GetArrayFromImage(moved).transpose(2, 1, 0)
    return straight
