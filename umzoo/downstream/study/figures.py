"""Pictures of a study: learning curves, and the metric over label budgets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from umzoo.downstream.evaluate.report import COLORS, GRAY
from umzoo.downstream.study.convergence import Curves
from umzoo.downstream.study.results import Result

STYLES = ("-", "--", ":")
"""Line styles; each is used with every color before the next one."""
FEW = 4
"""Maximum number of arms for which single seeds are drawn."""
Lines = dict[str, dict[str, str]]
"""Color and style of the line of each arm."""


def arm_lines(arms: Sequence[str], control: str) -> Lines:
    """Return a distinct color and style for each arm; the control is gray."""
    lines: Lines = {control: {"color": GRAY, "linestyle": STYLES[0]}}
    for number, arm in enumerate(arm for arm in arms if arm != control):
        style = STYLES[number // len(COLORS) % len(STYLES)]
        lines[arm] = {"color": COLORS[number % len(COLORS)], "linestyle": style}
    return lines


def save_learning(file: Path, curves: Curves, lines: Lines, metric: str) -> None:
    """Draw a panel per label budget, with thin lines for an arm's seeds and a thick line for their mean.

    With more than :data:`FEW` arms, only the means are drawn.
    """
    budgets = list(dict.fromkeys(labels for _, labels, _ in curves))
    figure, panels = _figure(len(budgets))
    for axis, labels in zip(panels, budgets, strict=True):
        for arm, line in lines.items():
            found = [curve for (name, of, _), curve in curves.items() if (name, of) == (arm, labels)]
            for curve in found if len(lines) <= FEW else ():
                axis.plot(list(curve), list(curve.values()), linewidth=0.6, alpha=0.5, **line)
            if steps := sorted(set.intersection(*map(set, found))) if found else []:
                means = [float(np.mean([curve[step] for curve in found])) for step in steps]
                axis.plot(steps, means, linewidth=2, label=arm, **line)
        axis.set(xlabel="step", ylabel=metric, title=f"labels: {labels}")
    if len(lines) > FEW:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    else:
        panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=120)


def save_labels(file: Path, results: Sequence[Result], lines: Lines, metric: str) -> None:
    """Draw the metric of each arm over the label budgets, with its interval."""
    budgets = list(dict.fromkeys(result.labels for result in results))
    figure, (axis,) = _figure(1)
    for number, (arm, line) in enumerate(lines.items()):
        mine = [result for result in results if result.arm == arm]
        places = [budgets.index(result.labels) + 0.04 * number for result in mine]
        spans = [result.value for result in mine]
        axis.plot(places, [span.value for span in spans], marker="o", label=arm, **line)
        for place, span in zip(places, spans, strict=True):
            axis.plot([place, place], [span.low, span.high], color=line["color"], linewidth=1)
    axis.set(xticks=range(len(budgets)), xticklabels=budgets, xlabel="training subjects with labels", ylabel=metric)
    axis.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=120)


def _figure(panels: int) -> tuple[Any, Any]:
    """Return a figure that needs no display, and its axes in one row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * panels + 0.6, 3.6), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, sharey=True)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
