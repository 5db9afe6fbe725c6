"""The report of an evaluation: verdicts, one table, two pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from umzoo.downstream.evaluate.metrics import METRICS, primary
from umzoo.downstream.evaluate.run import Evaluation, Score
from umzoo.downstream.evaluate.statistics import TITLES

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colors of references, distinguishable for color-blind readers (Okabe and Ito); controls are gray."""
GRAY = "#888888"


def write_page(found: Evaluation, title: str, folder: Path) -> Path:
    """Write ``README.md``, ``scores.png`` and, with several budgets, ``labels.png`` into *folder*; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = ["scores.png"]
    draw_scores(found, folder / "scores.png")
    if len(found.config.labels) > 1:
        draw_labels(found, folder / "labels.png")
        pictures.append("labels.png")
    count, config = len(np.unique(found.table.subjects)), found.config
    how = (
        f"{len(found.table.subjects)} scans of {count} subjects, {found.method}, {config.folds} folds by subject,"
        f" {config.seeds} seeds. Intervals ({100 - 100 * config.level:g} %) are of a bootstrap over subjects;"
        " differences are tested by a paired swap test with Holm's correction within each budget."
    )
    verdicts = [f"- {_code(c.first)}, {c.budget} of labels: {c.verdict}" for c in found.comparisons]
    images = [f"![{name[:-4]}]({name})" for name in pictures]
    text = "\n\n".join([f"# {title}", how, "\n".join(verdicts), table(found), *images])
    page = folder / "README.md"
    page.write_text(text + "\n", encoding="utf-8")
    return page


def add_properties(page: Path, found: Mapping[str, Evaluation]) -> None:
    """Append the probes of scan properties to *page*."""
    lines = [
        "## Scan properties in the features",
        "Linear probes of the same features for properties that predictions should mostly not depend on. A better probe"
        " means less invariance. Side and scale are synthetic: half of the scans are mirrored, or magnified.",
    ]
    for name, evaluation in found.items():
        verdicts = [f"- {_code(c.first)}, {name}: {c.verdict}" for c in evaluation.comparisons]
        lines += [f"### {name.capitalize()}", "\n".join(verdicts), table(evaluation)]
    if len(lines) == 2:
        lines.append("No property could be probed: there are too few subjects.")
    text = page.read_text(encoding="utf-8")
    page.write_text(text + "\n" + "\n\n".join(lines) + "\n", encoding="utf-8")


def table(found: Evaluation) -> str:
    """Return all metrics of all references as a Markdown table."""
    metrics = list(METRICS[found.table.kind])
    rows: dict[tuple[str, str, str], dict[str, Score]] = {}
    for score in found.scores:
        rows.setdefault((score.reference, score.probe, score.budget), {})[score.metric] = score
    lines = ["| reference | probe | labels | " + " | ".join(TITLES.get(name, name) for name in metrics) + " |"]
    lines.append("|---" * (3 + len(metrics)) + "|")
    for (reference, probe, budget), scores in rows.items():
        cells = [_code(reference), probe, budget, *(_cell(scores[name]) for name in metrics)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw_scores(found: Evaluation, file: Path) -> None:
    """Draw a dot with its interval per reference and budget."""
    names, budgets = list(found.table.names), found.config.labels
    figure, axis = _axes(7.0, 1.0 + 0.28 * len(names) * len(budgets))
    ticks = []
    for row, (name, budget) in enumerate((name, budget) for name in names for budget in budgets):
        span = _deciding(found)[name, budget].interval
        axis.plot([span.low, span.high], [row, row], color=_color(found, name), linewidth=2)
        axis.plot(span.value, row, "o", color=_color(found, name))
        ticks.append(f"{name}, {budget}" if len(budgets) > 1 else name)
    axis.set(yticks=range(len(ticks)), yticklabels=ticks, xlabel=_title(found))
    axis.invert_yaxis()
    figure.savefig(file, dpi=120)


def draw_labels(found: Evaluation, file: Path) -> None:
    """Draw the metric over the label budgets, a line per reference."""
    figure, axis = _axes(6.0, 4.0)
    places = np.arange(len(found.config.labels))
    for name in found.table.names:
        spans = [_deciding(found)[name, budget].interval for budget in found.config.labels]
        style, color = "--" if name in found.table.controls else "-", _color(found, name)
        axis.plot(places, [span.value for span in spans], style, marker="o", color=color, label=name)
        axis.fill_between(places, [s.low for s in spans], [s.high for s in spans], color=color, alpha=0.1)
    axis.set(xticks=places, xticklabels=found.config.labels, xlabel="labels of a training fold", ylabel=_title(found))
    axis.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=120)


def _deciding(found: Evaluation) -> dict[tuple[str, str], Score]:
    """Return the score by which each reference is compared at each budget: that of its first probe."""
    scores: dict[tuple[str, str], Score] = {}
    for score in found.scores:
        if score.metric == primary(found.table.kind):
            scores.setdefault((score.reference, score.budget), score)
    return scores


def _title(found: Evaluation) -> str:
    metric = primary(found.table.kind)
    return TITLES.get(metric, metric)


def _color(found: Evaluation, name: str) -> str:
    return GRAY if name in found.table.controls else COLORS[found.table.references.index(name) % len(COLORS)]


def _cell(score: Score) -> str:
    return f"{score.interval.value:.3f} [{score.interval.low:.3f}, {score.interval.high:.3f}]"


def _code(name: str) -> str:
    return f"`{name.replace('|', '/')}`"


def _axes(width: float, height: float) -> tuple[Any, Any]:
    """Return a figure that needs no display, and its axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis
