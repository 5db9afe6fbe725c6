"""The report of a study: tables, learning curves, label efficiency, and failed cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from umzoo.downstream.evaluate.statistics import TITLES, Interval
from umzoo.downstream.study.config import StudyConfig
from umzoo.downstream.study.convergence import SHARE, Arrival, arrivals, curves_of
from umzoo.downstream.study.figures import arm_lines, save_labels, save_learning
from umzoo.downstream.study.results import Result, compare_arms, group_rows, primary
from umzoo.downstream.study.tidy_rows import ANSWERS, CELLS, CURVES, Row, read_rows
from umzoo.errors import DataError
from umzoo.files import read_json

PROTOCOL = "study.json"
"""The options of a study, in its folder."""
HOW = (
    "All arms have the same seeds, folds, labeled subjects, crops and initial heads. Values are means over seeds."
    " Intervals (95 %) come from a bootstrap over seeds and subjects. Differences are paired by seed and subject."
    " Steps are those to {share:.0%} of the control's final value with the same seed."
    " A difference is bold if its interval excludes 0 and there are at least {few} seeds: with fewer, the interval does"
    " not cover the variation between seeds."
)
FEW = 3
"""Minimum number of seeds for a bold difference."""


def write_report(folder: Path) -> Path:
    """Write ``README.md`` and its pictures from the rows in *folder*; return the page.

    Raises:
        DataError: if *folder* holds no rows of a study.
    """
    config = read_protocol(folder)
    cells = read_rows(folder / CELLS)
    answers, curves = read_rows(folder / ANSWERS), read_rows(folder / CURVES)
    parts = [f"# {config.name}", config.question, f"What counts as a yes: {config.yes}" if config.yes else ""]
    parts += [_progress(cells), HOW.format(few=FEW, share=SHARE), *_rates(config)]
    for task in config.tasks:
        mine = [row for row in answers if row["task"] == task.title]
        if mine:
            kind = next(row["task_kind"] for row in cells if row["task"] == task.title)
            of_task = [row for row in curves if row["task"] == task.title]
            parts += _section(config, task.title, kind, mine, of_task, folder)
    parts += _failures(cells)
    page = folder / "README.md"
    page.write_text("\n\n".join(filter(None, parts)) + "\n", encoding="utf-8")
    return page


def read_protocol(folder: Path) -> StudyConfig:
    """Return the options of the study in *folder*.

    Raises:
        DataError: if it holds no study.
    """
    remedy = "run 'umzoo study STUDY.toml' first"
    if not (folder / PROTOCOL).is_file():
        raise DataError(f"{folder} holds no study ({PROTOCOL} is missing): {remedy}")
    return StudyConfig.parse(read_json(folder / PROTOCOL, error=DataError, remedy=remedy), PROTOCOL)


def _rates(config: StudyConfig) -> Iterator[str]:
    """Yield a sentence for each arm with overrides of the fine-tuning."""
    for arm in config.arms:
        if arm.finetune:
            yield f"Arm {arm.name} alone is fine-tuned with {', '.join(f'`{change}`' for change in arm.finetune)}."


def _progress(cells: Sequence[Row]) -> str:
    counts = {state: sum(row["state"] == state for row in cells) for state in ("done", "failed", "not done")}
    done = f"{counts['done']} of {len(cells)} trainings are done, {counts['failed']} failed"
    return (
        f"{done}; **the other trainings are missing from the tables**."
        if counts["not done"] + counts["failed"]
        else f"{done}."
    )


def _section(
    config: StudyConfig, task: str, kind: str, answers: Sequence[Row], curve_rows: Sequence[Row], folder: Path
) -> Iterator[str]:
    """Table and pictures of one task."""
    results = compare_arms(group_rows(answers, kind), kind, config.control)
    curves = curves_of(curve_rows)
    metric = TITLES.get(primary(kind), primary(kind).capitalize())
    lines = arm_lines([name for name in config.names if any(result.arm == name for result in results)], config.control)
    part = answers[0]["part"]
    yield f"## {task}"
    yield f"{metric} on {len({row['case'] for row in answers})} {part} cases" + (
        ", which also chose the step of each training." if part == "validation" else "."
    )
    yield table(results, arrivals(curves, kind, config.control), metric, config)
    save_learning(folder / f"learning-{task}.png", curves, lines, metric)
    yield f"![{metric} of validation by step](learning-{task}.png)"
    if len({result.labels for result in results}) > 1:
        save_labels(folder / f"labels-{task}.png", results, lines, metric)
        yield f"![{metric} by label budget](labels-{task}.png)"


def table(results: Sequence[Result], arrived: Sequence[Arrival], metric: str, config: StudyConfig) -> str:
    """Return *results* as a Markdown table, in the order of the protocol."""
    when = {(arrival.arm, arrival.labels): arrival for arrival in arrived}
    found = {(result.arm, result.labels): result for result in results}
    header = ("labels", "arm", metric, f"difference from {config.control}", "seeds ahead", "steps", "of the control's")
    lines = [f"| {' | '.join(header)} |", "| --- " * len(header) + "|"]
    for labels in config.labels:
        for arm in config.names:
            if result := found.get((arm, labels)):
                lines.append(f"| {' | '.join(_cells(result, when.get((arm, labels))))} |")
    return "\n".join(lines)


def _cells(result: Result, arrival: Arrival | None) -> list[str]:
    gap = result.difference
    bold = "**" if gap is not None and gap.low * gap.high > 0 and result.seeds >= FEW else ""
    difference = f"{bold}{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]{bold}" if gap else ""
    ahead = f"{result.ahead} of {result.seeds}" if gap else ""
    return [result.labels, result.arm, _span(result.value), difference, ahead, *_arrival(arrival)]


def _span(span: Interval) -> str:
    return f"{span.value:.3f} [{span.low:.3f}, {span.high:.3f}]"


def _arrival(arrival: Arrival | None) -> tuple[str, str]:
    if arrival is None:
        return "", ""
    reached = f"{arrival.steps:.0f}" if np.isfinite(arrival.steps) else "never"
    missed = f" ({arrival.reached} of {arrival.seeds} seeds)" if arrival.reached < arrival.seeds else ""
    ratio = f"{arrival.ratio:.2f}" if np.isfinite(arrival.ratio) else ""
    return reached + missed, ratio


def _failures(cells: Sequence[Row]) -> Iterator[str]:
    failed = [row for row in cells if row["state"] == "failed"]
    if failed:
        yield "## Failed"
        yield "\n".join(f"- `{row['cell']}`: {row['failed']}" for row in failed)
