"""Synthetic CT- and MR-like volumes with a shared anatomy, for the quickstart, the documentation and the tests.

They look like medical images in the respects that matter to the code (units, contrasts, noise, bias field, tissues
at several sizes) and are no model of any patient.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from umzoo.data.phantoms.anatomy import CODE, TISSUES, Array, Size, Spacing, Tissues, draw_anatomy, grid_mm, plane_waves

Modality = Literal["ct", "mr"]
Contrast = Literal["", "t1w", "t2w"]

LABELS = {"background": 0, "liver": 1, "spleen": 2, "kidney": 3}
"""Structures that labeled phantoms are segmented into."""

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
    (z, y, x) with indices increasing towards the head, the back and the left.

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


def write_phantoms(
    folder: Path | str,
    ct: int = 8,
    mr: int = 8,
    labeled: int = 0,
    size: Size = (80, 80, 80),
    seed: int = 0,
) -> list[Path]:
    """Write NIfTI phantoms: unlabeled ``ct/*.nii.gz`` and ``mr/*.nii.gz``, labeled CT in the nnU-Net raw layout.

    ``ct/`` and ``mr/`` show the same bodies, number by number; the labeled ones (``imagesTr``, ``labelsTr``,
    ``dataset.json``, under ``Dataset001_Phantom``) are others. The distance of slices is 1, 1.25 or 1.5 mm.

    Returns:
        the files of images, unlabeled ones first.
    """
    folder = Path(folder)
    files: list[Path] = []
    counts: dict[Modality, int] = {"ct": ct, "mr": mr}
    for modality, count in counts.items():
        for number in range(count):
            phantom = _varied(seed + number, modality, size)
            suffix = f"_{phantom.contrast}" if phantom.contrast else ""
            files.append(_write(phantom.image, phantom, folder / modality / f"{modality}_{number:03d}{suffix}.nii.gz"))
    return files + _write_task(folder / "Dataset001_Phantom", labeled, size, seed + 10_000)


def write_labeled(folder: Path | str, counts: Mapping[str, int], size: Size = (80, 80, 80), seed: int = 10_000) -> Path:
    """Write labeled phantoms, CT and MR in turn, and a table of them; return the table.

    Args:
        folder: for ``images``, ``labels`` and ``cases.csv`` (image, label, subject, modality, split).
        counts: phantoms of each split, such as ``{"train": 4, "validation": 4}``.
        size: edges in mm (D, H, W).
        seed: number of the first body.
    """
    folder, lines, number = Path(folder), ["image,label,subject,modality,split"], 0
    for split, count in counts.items():
        for _ in range(count):
            modality: Modality = "mr" if number % 2 else "ct"
            phantom = make_phantom(seed + number, modality, size=size)
            image, label = (f"{kind}/phantom_{number:03d}.nii.gz" for kind in ("images", "labels"))
            _write(phantom.image, phantom, folder / image)
            _write(phantom.label, phantom, folder / label)
            lines.append(f"{image},{label},body_{number:03d},{modality},{split}")
            number += 1
    table = folder / "cases.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def _write_task(folder: Path, count: int, size: Size, seed: int) -> list[Path]:
    files = []
    for number in range(count):
        phantom = _varied(seed + number, "ct", size)
        files.append(_write(phantom.image, phantom, folder / "imagesTr" / f"phantom_{number:03d}_0000.nii.gz"))
        _write(phantom.label, phantom, folder / "labelsTr" / f"phantom_{number:03d}.nii.gz")
    if count:
        content = {"channel_names": {"0": "CT"}, "labels": LABELS, "numTraining": count, "file_ending": ".nii.gz"}
        (folder / "dataset.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    return files


def _varied(seed: int, modality: Modality, size: Size) -> Phantom:
    thickness = (1.0, 1.25, 1.5)[seed % 3]
    slices = max(round(size[0] / thickness), 8)
    return make_phantom(seed, modality, size=(slices, *size[1:]), spacing=(thickness, 1.0, 1.0))


def _write(array: NDArray, phantom: Phantom, file: Path) -> Path:
    import nibabel  # writing only: training never needs it

    file.parent.mkdir(parents=True, exist_ok=True)
    depth, height, width = phantom.spacing
    affine = np.diag([-width, -height, depth, 1.0])
    stored = array if array.dtype == np.uint8 else np.round(array).astype(np.int16)
    volume: Any = nibabel.Nifti1Image  # untyped
    nibabel.save(volume(stored.transpose(2, 1, 0), affine), file)
    return file


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
