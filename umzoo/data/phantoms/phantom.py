"""Synthetic CT- and MR-like volumes with a shared anatomy, for the quickstart, the documentation and the tests.

They look like medical images in the respects that matter to the code (units, contrasts, noise, bias field, tissues
at several sizes) and are not a model of any patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from umzoo.data.phantoms.anatomy import CODE, TISSUES, Array, Size, Spacing, Tissues, draw_anatomy, grid_mm, plane_waves

Modality = Literal["ct", "mr"]
Contrast = Literal["", "t1w", "t2w"]

LABELS = {"background": 0, "liver": 1, "spleen": 2, "kidney": 3}
"""Segmented structures of labeled phantoms."""

_APPEARANCE = {
    "air": (-1000, 0.0, 0.0),
    "fat": (-95, 1.0, 0.70),
    "muscle": (45, 0.42, 0.25),
    "bone": (550, 0.22, 0.12),
    "disc": (85, 0.38, 0.60),
    "fluid": (8, 0.15, 1.0),
    "lung": (-820, 0.06, 0.05),
    "liver": (95, 0.58, 0.32),
    "spleen": (125, 0.40, 0.52),
    "kidney": (165, 0.45, 0.65),
    "vessel": (220, 0.10, 0.08),
    "lesion": (25, 0.28, 0.85),
}
"""Mean of each tissue: CT in HU, relative T1-weighted signal, relative T2-weighted signal."""


@dataclass(frozen=True)
class Phantom:
    """A synthetic volume.

    Attributes:
        image: float32 ``(D, H, W)``: HU for CT, arbitrary units for MR.
        label: uint8 ``(D, H, W)``, codes of :data:`LABELS`.
        spacing: mm (D, H, W).
        modality: ``"ct"`` or ``"mr"``.
        contrast: ``"t1w"`` or ``"t2w"`` for MR, empty for CT.
    """

    image: Array
    label: NDArray[np.uint8]
    spacing: Spacing
    modality: Modality
    contrast: Contrast = ""


def make_phantom(
    seed: int,
    modality: Modality = "ct",
    contrast: Contrast = "",
    size: Size = (80, 80, 80),
    spacing: Spacing = (1.0, 1.0, 1.0),
) -> Phantom:
    """Return a phantom; equal arguments give equal voxels, and equal seeds equal anatomy in every modality.

    The body is about 60 x 72 mm in the axial plane and is cut by the ends of the grid along z. Axes are
    (z, y, x) with indices increasing toward the head, the back and the left.

    Args:
        seed: number of the body.
        modality: ``"ct"`` or ``"mr"``.
        contrast: ``"t1w"`` or ``"t2w"`` for MR; empty chooses by the seed.
        size: voxels (D, H, W).
        spacing: mm (D, H, W).
    """
    tissues = draw_anatomy(seed, size, spacing)
    if modality == "mr":
        contrast = contrast or ("t1w", "t2w")[seed % 2]
        image = _mr(tissues, seed, contrast, spacing)
    else:
        contrast, image = "", _ct(tissues, seed, spacing)
    label = np.zeros(len(TISSUES), np.uint8)
    for name, code in LABELS.items():
        label[CODE.get(name, 0)] = code
    return Phantom(image, label[tissues], spacing, modality, contrast)


def _ct(tissues: Tissues, seed: int, spacing: Spacing) -> Array:
    rng = np.random.default_rng((seed, 1))
    grid = grid_mm(_size(tissues), spacing)
    spread = np.array([0 if name in ("air", "lung") else 8 for name in TISSUES])
    value = np.array([_APPEARANCE[name][0] for name in TISSUES]) + rng.normal(0, 1, len(TISSUES)) * spread
    image = _blur(value.astype(np.float32)[tissues], 0.6, spacing)
    image += np.float32(12) * plane_waves(grid, rng, wavelength=9) * (tissues != CODE["air"])
    noise = _blur(rng.standard_normal(tissues.shape, np.float32), 0.5, spacing)
    image += noise * np.float32(rng.uniform(15, 25) / noise.std())
    return image.clip(-1024, 3071)


def _mr(tissues: Tissues, seed: int, contrast: Contrast, spacing: Spacing) -> Array:
    column = 1 if contrast == "t1w" else 2
    rng = np.random.default_rng((seed, 1 + column))
    grid = grid_mm(_size(tissues), spacing)
    value = np.array([_APPEARANCE[name][column] for name in TISSUES]) * rng.uniform(0.93, 1.07, len(TISSUES))
    signal = _blur(value.astype(np.float32)[tissues], 0.7, spacing)
    signal *= 1 + np.float32(0.04) * plane_waves(grid, rng, wavelength=7)
    signal *= np.exp(np.float32(0.22) * plane_waves(grid, rng, wavelength=110, count=3))
    sigma = np.float32(rng.uniform(0.02, 0.035))
    real, imaginary = sigma * rng.standard_normal((2, *tissues.shape), np.float32)
    magnitude: Array = np.hypot(signal + real, imaginary) * np.float32(rng.uniform(300, 1500))
    return magnitude


def _size(array: Tissues) -> Size:
    depth, height, width = array.shape
    return depth, height, width


def _blur(image: Array, sigma: float, spacing: Spacing) -> Array:
    """Convolve *image* ``(D, H, W)`` with a Gaussian of *sigma* mm, by FFT."""
    spectrum = np.fft.rfftn(image)
    for axis, step in enumerate(spacing):
        count = image.shape[axis]
        frequency = np.fft.rfftfreq(count, step) if axis == 2 else np.fft.fftfreq(count, step)
        weight = np.exp(-2 * (np.pi * sigma * frequency) ** 2)
        spectrum *= weight.reshape([-1 if i == axis else 1 for i in range(3)])
    blurred: Array = np.fft.irfftn(spectrum, s=image.shape, axes=(0, 1, 2)).astype(np.float32)
    return blurred
