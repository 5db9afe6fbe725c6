"""Scans of one body in every guise: containers, types, axes."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

SHAPE, SPACING = (20, 24, 28), (2.0, 1.0, 1.5)
"""(D, H, W) of the body, and mm."""


def make_body(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int16]:
    """A CT of a ball off the center, int16 ``(D, H, W)`` in LPS, different along every axis."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = (z - 0.1) ** 2 + (y + 0.15) ** 2 + (x - 0.2) ** 2 < 0.6
    values = np.where(inside, 60 + 60 * x + 40 * y + 20 * z, -1000)
    return (values + rng.normal(0, 10, shape)).round().astype(np.int16)


def ras_affine(spacing: tuple[float, float, float] = SPACING) -> NDArray[np.float64]:
    """Affine of ``(x, y, z)`` voxels that run to L, P, S, with an origin of its own."""
    affine = np.diag([-spacing[2], -spacing[1], spacing[0], 1.0])
    affine[:3, 3] = (30.0, 20.0, -40.0)
    return affine


def as_nifti(body: NDArray, affine: NDArray | None = None) -> nibabel.Nifti1Image:
    """A NIfTI image of a canonical body."""
    return nibabel.Nifti1Image(body.transpose(2, 1, 0), ras_affine() if affine is None else affine)


def as_sitk(body: NDArray) -> sitk.Image:
    """A SimpleITK image of a canonical body at the same place."""
    image = sitk.GetImageFromArray(body)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin((-30.0, -20.0, -40.0))
    return image


def guises(body: NDArray, folder: Path) -> dict[str, object]:
    """The scan as a user may have it."""
    image = as_nifti(body)
    nibabel.save(image, folder / "a.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj).astype(np.float32), image.affine), folder / "float.nii")
    nibabel.save(nibabel.as_closest_canonical(image), folder / "ras.nii.gz")
    permuted = image.as_reoriented(np.array([[1, -1], [2, 1], [0, -1]]))
    nibabel.save(permuted, folder / "permuted.nii.gz")
    sitk.WriteImage(as_sitk(body), str(folder / "a.nrrd"))
    sitk.WriteImage(as_sitk(body), str(folder / "a.mha"))
    files: dict[str, object] = {file.name: file for file in sorted(folder.iterdir())}
    arrays = {"array": (np.asarray(image.dataobj), image.affine)}
    return {**files, "nibabel": image, "sitk": as_sitk(body), **arrays}


@pytest.fixture
def body() -> NDArray[np.int16]:
    """A CT volume ``(D, H, W)``."""
    return make_body()
