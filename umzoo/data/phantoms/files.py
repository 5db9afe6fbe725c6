"""Phantoms as files: NIfTI in the layouts that the quickstart and the tutorial prepare and fine-tune on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.phantoms.anatomy import Size
from umzoo.data.phantoms.phantom import LABELS, Modality, Phantom, make_phantom


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
    ``dataset.json``, under ``Dataset001_Phantom``) show other bodies. The slice spacing is 1, 1.25 or 1.5 mm.

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
