"""Pictures of segmentations and of fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.compare import ARMS, Outcome
from umzoo.downstream.volumes import LabelledVolume

COLOURS = ("#00000000", "#e69f00b0", "#56b4e9b0", "#cc79a7b0", "#009e73b0", "#f0e442b0")
"""Background (transparent) and classes, told apart by colour-blind readers too (Okabe and Ito)."""


def save_segmentations(
    file: Path, volumes: Sequence[LabelledVolume], outcomes: Sequence[Outcome], names: Sequence[str]
) -> None:
    """Draw one row per volume: image, truth, and the answer of each arm with its first seed.

    Each row shows the coronal slice with the most labelled voxels; *names* are those of the rows.
    """
    answers = [next(outcome for outcome in outcomes if outcome.arm == arm).answers for arm in ARMS]
    figure, axes = _grid(len(volumes), 2 + len(ARMS))
    for row, (volume, name) in enumerate(zip(volumes, names, strict=True)):
        y = int((volume.label > 0).sum(dim=(0, 2)).argmax())
        image = volume.image[0, :, y].flip(0).numpy()
        for axis, labels in zip(axes[row], (None, volume.label, *(answer[row] for answer in answers)), strict=True):
            axis.imshow(image, cmap="gray")
            if labels is not None:
                _overlay(axis, labels[:, y].flip(0).numpy())
        axes[row, 0].set_ylabel(name)
    for axis, title in zip(axes[0], ("image", "truth", *ARMS), strict=True):
        axis.set_title(title)
    figure.savefig(file, dpi=110)


def save_losses(file: Path, outcomes: Sequence[Outcome], width: int = 10) -> None:
    """Draw the training loss of each fine-tuning, a moving average over *width* steps."""
    figure, axes = _grid(1, 1, edge=5.0, frame=True)
    axis = axes[0, 0]
    for number, arm in enumerate(ARMS):
        for position, outcome in enumerate(found for found in outcomes if found.arm == arm):
            smooth = np.convolve(outcome.losses, np.ones(width) / width, mode="valid")
            steps = np.arange(width, width + len(smooth))
            axis.plot(steps, smooth, color=("#999999", "#0072b2")[number], label=None if position else arm)
    axis.set(xlabel="step", ylabel="cross entropy + 1 - soft Dice", title="Fine-tuning")
    axis.legend(frameon=False)
    figure.savefig(file, dpi=110)


def _overlay(axis: Any, labels: NDArray[Any]) -> None:
    from matplotlib.colors import ListedColormap

    axis.imshow(labels, cmap=ListedColormap(COLOURS), vmin=0, vmax=len(COLOURS) - 1, interpolation="nearest")


def _grid(rows: int, columns: int, edge: float = 2.2, frame: bool = False) -> tuple[Any, Any]:
    """A figure that needs no display, and its axes ``(rows, columns)``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(edge * columns, edge * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    if not frame:
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
            for side in axis.spines.values():
                side.set_visible(False)
    return figure, axes
