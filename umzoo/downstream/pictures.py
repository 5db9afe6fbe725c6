"""Pictures of fine-tunings, and label maps drawn over images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLORS = ("#999999", "#0072b2")
CLASS_COLORS = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#0072b2", "#d55e00")
"""Of classes 1, 2, ..., told apart by color-blind readers too (Okabe and Ito)."""


def class_color(number: int, alpha: float = 1.0) -> tuple[float, float, float, float]:
    """Return the color of class *number*; the background 0 is transparent."""
    from matplotlib.colors import to_rgba

    return to_rgba(CLASS_COLORS[(number - 1) % len(CLASS_COLORS)], alpha) if number else (0.0, 0.0, 0.0, 0.0)


def draw_labels(axes: Any, labels: NDArray[Any], alpha: float, aspect: float | str = "equal") -> None:
    """Draw a slice of *labels* over what *axes* show."""
    colors = np.zeros((*labels.shape, 4))
    for number in np.unique(labels):
        colors[labels == number] = class_color(int(number), alpha)
    axes.imshow(colors, aspect=aspect, interpolation="nearest")


def save_losses(file: Path, curves: Sequence[tuple[str, Sequence[float]]]) -> None:
    """Draw the training losses of *curves*, each with the name of its arm, over the run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axis, names = figure.subplots(), list(dict.fromkeys(name for name, _ in curves))
    drawn: set[str] = set()
    for name, losses in curves:
        label = None if name in drawn else name
        axis.plot(range(1, len(losses) + 1), losses, color=COLORS[names.index(name) % 2], label=label)
        drawn.add(name)
    axis.set(xlabel="line of the log", ylabel="cross entropy + 1 - soft Dice", title="Fine-tuning")
    axis.legend(frameon=False)
    figure.savefig(file, dpi=110)
