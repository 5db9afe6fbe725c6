"""Results of a fine-tuning: a row per case, ``summary.json``, and a summary over folds."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from umzoo.downstream.finetune.export import export
from umzoo.downstream.finetune.overlay import save_overlays
from umzoo.downstream.finetune.scores import Row, intervals, metrics_of
from umzoo.downstream.finetune.training import FineTuningRun
from umzoo.downstream.tasks import Task
from umzoo.errors import ConfigError
from umzoo.files import read_json

log = logging.getLogger(__name__)

Summary = dict[str, Any]
SUMMARY, VALIDATION = "summary.json", "validation.csv"
NOTES = {
    "best": "the checkpoint was selected on these cases, so the metrics are optimistic; 'task.test' holds out subjects",
    "last": "the last checkpoint: no selection on these cases",
}
"""Caveat on the validation metrics, for each ``strategy.checkpoint``."""
NAMES = frozenset({"case", "subject", "truth", "predicted"})
"""Columns of text."""


def finish(training: FineTuningRun) -> Summary:
    """Load the selected checkpoint; write rows, summary, pictures and the weights folder.

    Validation is repeated only if its rows were lost by an interruption. The test cases are used here only.
    """
    training.load_best()
    head = training.best_head
    rows = training.best_rows or training.judge(training.validation_cases, [head])[0]
    test = _test(training, head)
    warn_of_unlearned(training.task, rows)
    summary = {
        "task": training.task.name,
        "kind": training.task.kind,
        "weights": training.origin.weights or "none",
        "step": training.best_step,
        "train": len(training.train_cases),
        "validation": len(rows),
        "left_out": {"without an answer": training.task.left_out, "unusable": training.unusable},
        **_scores(training.task, rows, training.seed),
        "note": NOTES[training.options.strategy.checkpoint],
        **({"test": test} if test else {}),
    }
    if training.options.strategy.name == "probe":
        summary["probe_rate"] = training.options.strategy.probe_rates[head]
    _write_rows(training.folder / VALIDATION, rows)
    (training.folder / SUMMARY).write_text(json.dumps(summary, indent=1), encoding="utf-8")
    if training.task.kind == "segmentation":
        save_overlays(training.pictures / "validation.png", training, head)
    export(training, (test or summary)["metrics"])
    return summary


def formatted(scores: Mapping[str, Any]) -> dict[str, str]:
    """Return the metrics of *scores*, a summary or a part of one, as texts: the value, and its interval."""
    limits = scores.get("intervals", {})
    between = {name: f" [{low:.3f}, {high:.3f}]" for name, (low, high) in limits.items()}
    return {
        name: "undefined" if value is None else f"{value:.3f}{between.get(name, '')}"
        for name, value in scores.get("metrics", {}).items()
    }


def warn_of_unlearned(task: Task, rows: Sequence[Row]) -> None:
    """Warn of classes of a segmentation with Dice 0 in every case: similar classes need longer training."""
    if task.kind == "segmentation":
        never = [name for name in task.classes[1:] if not any(row[f"dice.{name}"] > 0 for row in rows)]
        if never:
            log.warning(
                "not learned: %s (Dice 0 in every case): give more trainer.steps, or strategy.class_weights=balanced",
                ", ".join(never),
            )


def _metrics(file: Path) -> dict[str, Any]:
    remedy = "remove its run, and train it again"
    metrics = read_json(file, "metrics", remedy=remedy)["metrics"]
    if not isinstance(metrics, dict):
        raise ConfigError(f"{file} is damaged: its 'metrics' must be a table; {remedy}")
    return metrics


def over_folds(task: Task, folders: Sequence[Path], seed: int) -> Summary:
    """Return mean and standard deviation of each metric over the runs in *folders*, one per fold.

    ``all`` holds the metrics of all cases pooled, each held out from its network, with intervals over subjects.
    """
    summaries = [_metrics(folder / SUMMARY) for folder in folders]
    rows = [row for folder in folders for row in read_rows(folder / VALIDATION)]
    found: Summary = {}
    for name in summaries[0]:
        values = [metrics[name] for metrics in summaries if metrics[name] is not None]
        if values:
            found[name] = {"mean": float(np.mean(values)), "std": float(np.std(values)), "folds": values}
    return {**found, "all": {"cases": len(rows), **_scores(task, rows, seed)}}


def _test(training: FineTuningRun, head: int) -> Summary:
    """Predict the test cases, if there are any, and write ``test.csv``."""
    if not training.test_cases:
        return {}
    rows = training.judge(training.test_cases, [head])[0]
    _write_rows(training.folder / "test.csv", rows)
    return {"cases": len(rows), **_scores(training.task, rows, training.seed)}


def _scores(task: Task, rows: Sequence[Row], seed: int) -> Summary:
    metrics = {name: _number(value) for name, value in metrics_of(task, rows).items()}
    return {"metrics": metrics, "intervals": intervals(task, rows, seed)}


def _number(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def _write_rows(file: Path, rows: Sequence[Row]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_rows(file: Path) -> list[Row]:
    """Return the rows of ``validation.csv`` or ``test.csv``."""
    with file.open(encoding="utf-8", newline="") as stream:
        return [
            {name: value if name in NAMES else float(value) for name, value in row.items()}
            for row in csv.DictReader(stream)
        ]
