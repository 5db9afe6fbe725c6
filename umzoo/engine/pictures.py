"""Pictures of a run: the learning curves, and panels of clean, corrupted and restored patches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

PANEL_COLUMNS = ("clean", "corrupted", "restored")


def save_panel(file: Path, rows: Sequence[tuple[str, Sequence[Tensor]]]) -> None:
    """Write one row per modality: the middle axial slices of clean, corrupted and restored ``(D, H, W)`` patches."""
    figure, axes = _figure(len(rows), len(PANEL_COLUMNS), size=2.2)
    for line, (name, images) in zip(axes, rows, strict=True):
        for axis, title, image in zip(line, PANEL_COLUMNS, images, strict=True):
            axis.imshow(image[image.shape[0] // 2].float().cpu().numpy(), cmap="gray", vmin=0, vmax=1)
            axis.set_title(title if line[0] is axes[0, 0] else "", fontsize=9)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, fontsize=9)
    _save(figure, file)


def curve_groups(logged: set[str]) -> dict[str, tuple[str, ...]]:
    """Return which of the *logged* metrics share a picture, by its title: beside each, what it has to beat."""
    groups = {
        "restoration loss": ("restoration", "restoration.identity"),
        "PSNR (dB)": ("restoration.psnr",),
        "accuracy": ("scale_classification.accuracy", "modality_adversarial.accuracy"),
        "modality probe": ("probe.modality", "probe.chance"),
    }
    shown = {name for names in groups.values() for name in names}
    for name in sorted(logged):
        label, _, kind = name.rpartition(".")
        if kind == "chance" and shown.isdisjoint((f"{label}.accuracy", name)):
            groups[f"{label} accuracy"] = (f"{label}.accuracy", name)
        elif kind == "baseline":
            groups[f"{label} loss"] = (label, name)
    present = {title: names for title, names in groups.items() if not logged.isdisjoint(names)}
    return present or {"loss": ("loss",)}


def save_curves(file: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Write the learning curves of the metrics in *lines* (see :func:`umzoo.engine.log.read_metrics`)."""
    groups = curve_groups({name for line in lines for name in line})
    figure, axes = _figure(1, len(groups), size=3.2)
    for axis, (title, names) in zip(axes[0], groups.items(), strict=True):
        for name in names:
            points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
            if points:
                steps, values = zip(*points, strict=True)
                window = max(1, len(values) // 50)
                axis.plot(steps[window - 1 :], np.convolve(values, np.ones(window) / window, "valid"), label=name)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=7)
        if axis.lines:
            axis.legend(fontsize=6)
    _save(figure, file)


def _figure(rows: int, columns: int, size: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * size, rows * size + 0.3), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}")
    figure.savefig(temporary, dpi=120, format="png")
    temporary.replace(file)
