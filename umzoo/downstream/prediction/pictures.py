"""A segmentation drawn over its scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from umzoo.downstream.pictures import class_color, draw_labels
from umzoo.errors import ConfigError
from umzoo.scans.scan import Scan

PLANES = ("axial", "coronal", "sagittal")


def save_overlay(file: Path, scan: Scan, labels: Tensor, classes: Sequence[str]) -> None:
    """Draw the slices of *scan* with the most foreground voxels, overlaid with *labels* ``(D, H, W)``.

    The left of the picture is the patient's right, and up is anterior or superior. Pixels have the aspect ratio of the
    spacing.

    Raises:
        ConfigError: if the image is not in canonical (z, y, x), LPS order.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    if not _is_canonical(scan):
        raise ConfigError("pictures need weights whose input has axes zyx and orientation LPS")
    image, mask = scan.image[0].numpy(), labels.numpy()
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axis, plane in enumerate(PLANES):
        others = tuple(other for other in range(3) if other != axis)
        counts = (mask > 0).sum(axis=others)
        place = int(counts.argmax()) if counts.any() else mask.shape[axis] // 2
        axes = figure.add_subplot(1, 3, axis + 1, title=plane, xticks=[], yticks=[])
        _draw(axes, image.take(place, axis), mask.take(place, axis), [scan.spacing[other] for other in others], plane)
    shown = [number for number in np.unique(mask) if number > 0]
    handles = [Patch(color=class_color(int(number)), label=classes[number]) for number in shown]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(scan.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _is_canonical(scan: Scan) -> bool:
    """Return whether D, H and W run towards S, P and L."""
    direction = scan.grid.affine[:3, :3] / np.linalg.norm(scan.grid.affine[:3, :3], axis=0)
    return bool(min(direction[2, 0], direction[1, 1], direction[0, 2]) > 0.5)


def _draw(axes: Any, image: Any, mask: Any, spacing: Sequence[float], plane: str) -> None:
    """Draw one slice; coronal and sagittal slices are flipped vertically, since D runs upwards."""
    if plane != "axial":
        image, mask = image[::-1], mask[::-1]
    low, high = np.percentile(image, (0.5, 99.5))
    aspect = spacing[0] / spacing[1]
    axes.imshow(image, cmap="gray", vmin=low, vmax=high if high > low else low + 1, aspect=aspect)
    draw_labels(axes, mask, 0.5, aspect)
