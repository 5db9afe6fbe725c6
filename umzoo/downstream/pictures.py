"""The picture of fine-tunings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

COLORS = ("#999999", "#0072b2")


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
