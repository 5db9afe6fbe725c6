"""Pictures of a run: learning curves, and panels with the tasks' inputs and outputs for patches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from umzoo.files import written_whole
from umzoo.pretext.variance import explained

NO_CURVE = frozenset({"step", "loss", "lr", "wait", "patches_per_second"})
"""Logged values without a curve: the sum of losses that have their own curves, and values of speed."""
EXPLAINED_SHARE = "share of variance explained"
TITLES = {
    "psnr": "PSNR (dB)",
    "explained": EXPLAINED_SHARE,
    "explained_altered": EXPLAINED_SHARE,
    "rank": "effective rank",
    "dead": "share of dead channels",
    "std": "deviation of features",
}
TO_BEAT = ("mean", "baseline", "identity")
"""Baseline metrics of trivial predictions, drawn next to a loss."""
CURVES_PER_ROW = 4
MARGIN = 0.6
"""Margin left of and below each picture for its labels, in inches."""


def save_panel(file: Path, rows: Sequence[tuple[str, Mapping[str, Tensor]]]) -> None:
    """Write one row per modality with the middle axial slices of patches ``(D, H, W)`` in [0, 1], by title."""
    titles = list(dict.fromkeys(title for _, images in rows for title in images))
    figure, axes = _figure(len(rows), len(titles), size=2.2)
    for line, (name, images) in zip(axes, rows, strict=True):
        for axis, title in zip(line, titles, strict=True):
            axis.set(xticks=[], yticks=[])
            if title in images:
                image = images[title]
                axis.imshow(image[image.shape[0] // 2].float().cpu().numpy(), cmap="gray", vmin=0, vmax=1)
            axis.set_title(title if line[0] is axes[0, 0] else "", fontsize=9)
            axis.set_xlabel(judgment(title, images), fontsize=8)
        line[0].set_ylabel(name, fontsize=9)
    _save(figure, file)


def judgment(title: str, images: Mapping[str, Tensor]) -> str:
    """Return the text below the picture *title*: for a restored patch, the explained variance of the clean patch."""
    if title != "restored" or "clean" not in images or title not in images:
        return ""
    clean, restored = images["clean"].float(), images["restored"].float()
    share = float(explained(restored, clean, clean.mean().expand_as(clean)))
    return f"{share:.0%} of variance" if math.isfinite(share) else ""


def save_curves(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write the learning curves of the metrics in *lines* (see :func:`umzoo.engine.log.read_metrics`)."""
    groups = curve_groups(name for line in lines for name in line)
    columns = min(CURVES_PER_ROW, len(groups))
    figure, axes = _figure(-(-len(groups) // columns), columns, size=3.2)
    for axis, group in zip_longest(axes.flat, groups.items()):
        if group is None:
            axis.set_axis_off()
        else:
            _draw(axis, group[0], group[1], lines)
    _save(figure, file)


def curve_groups(logged: Iterable[str]) -> dict[str, list[str]]:
    """Group the *logged* metrics by the title of their axes; losses come first.

    A task's loss shares its axes with its baselines (:data:`TO_BEAT`), and ``accuracy`` with ``chance``. Other metrics
    of equal names, and all metrics of explained variance, share axes.
    """
    losses: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for name in logged if name not in NO_CURVE):
        task, _, metric = name.partition(".")
        if not metric or metric in TO_BEAT:
            losses.setdefault(f"{task} loss", []).append(name)
        elif task == "probe":
            others.setdefault("modality probe", []).append(name)
        elif metric in ("accuracy", "chance"):
            others.setdefault(f"{task} accuracy", []).append(name)
        else:
            others.setdefault(TITLES.get(metric, metric), []).append(name)
    return losses | others or {"loss": ["loss"]}


def _draw(axis: Any, title: str, names: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> None:
    """Draw the metrics *names* on *axis*, with a moving average over 2 % of the run."""
    for name in names:
        points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
        if points:
            steps, values = zip(*points, strict=True)
            window = max(1, len(values) // 50)
            axis.plot(steps[window - 1 :], np.convolve(values, np.ones(window) / window, "valid"), label=name)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("step", fontsize=8, labelpad=1)
    _limit(axis, title)
    axis.locator_params(nbins=5)
    axis.tick_params(labelsize=7)
    if axis.lines:
        axis.legend(fontsize=6)


def _figure(rows: int, columns: int, size: float) -> tuple[Any, Any]:
    """Return a figure of axes *size* inches apart with fixed margins, as automatic layout takes seconds."""
    from matplotlib.figure import Figure

    width, height = columns * size, rows * size + 0.3
    figure = Figure(figsize=(width, height), dpi=120)
    gap = MARGIN / (size - MARGIN)
    margins = {"left": MARGIN / width, "right": 1 - 0.1 / width, "bottom": MARGIN / height, "top": 1 - 0.3 / height}
    return figure, figure.subplots(rows, columns, squeeze=False, gridspec_kw={**margins, "wspace": gap, "hspace": gap})


def _save(figure: Any, file: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)  # draws once; savefig does twice


def _limit(axis: Any, title: str) -> None:
    """Limit the axis so that outliers, such as the baseline ``identity``, do not flatten the other curves."""
    if title == EXPLAINED_SHARE:
        axis.set_ylim(-0.2, 1)
        axis.axhline(0, color="gray", linewidth=0.5)
    curves = {line.get_label().rpartition(".")[2]: line.get_ydata() for line in axis.lines}
    if len(curves) > 1 and "identity" in curves:
        highest = [np.nanmax(values) for name, values in curves.items() if name != "identity" and len(values)]
        axis.set_ylim(0, 1.2 * max(highest, default=1.0))
