"""Metrics of predictions, per case and over all cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umzoo.downstream.tasks import Task

Row = dict[str, Any]
"""A row of ``validation.csv``: case, subject, and metrics or predictions."""
MAIN = {
    "segmentation": "dice",
    "classification": "auroc",
    "multilabel": "auroc",
    "regression": "mae",
    "survival": "concordance",
}
"""The metric that decides which checkpoint is best."""
LOWER_IS_BETTER = frozenset({"mae"})
RESAMPLES = 1000


def dice_row(task: Task, answer: Tensor, label: NDArray[Any]) -> Row:
    """Return the Dice of each class of *answer* ``(D, H, W)``; NaN for a class absent from both label maps."""
    from monai.metrics import compute_dice
    from monai.networks.utils import one_hot

    count = len(task.classes)
    predicted, truth = (
        one_hot(torch.as_tensor(it).long()[None, None], count) for it in (answer, label.astype(np.int64))
    )
    dice = compute_dice(predicted, truth, include_background=False, ignore_empty=False)[0].numpy()
    present = [bool((answer == kind).any()) or bool((label == kind).any()) for kind in range(1, count)]
    found = np.where(present, dice, np.nan)
    row = {f"dice.{name}": float(value) for name, value in zip(task.classes[1:], found, strict=True)}
    return {"dice": float(np.nanmean(found)) if any(present) else 1.0, **row}


def answer_row(task: Task, answer: Tensor, targets: Sequence[float]) -> Row:
    """Return the ground truth and the prediction *answer* ``(n,)``: probabilities, numbers or the log hazard."""
    if task.kind == "classification":
        shares = answer.softmax(0).tolist()
        row = {"truth": task.classes[int(targets[0])], "predicted": task.classes[int(answer.argmax())]}
        return {**row, **{f"p.{name}": value for name, value in zip(task.classes, shares, strict=True)}}
    if task.kind == "survival":
        return {"time": targets[0], "event": targets[1], "risk": float(answer[0])}
    values = answer.sigmoid() if task.kind == "multilabel" else answer
    mark = "p." if task.kind == "multilabel" else "predicted."
    truths = {f"truth.{name}": value for name, value in zip(task.classes, targets, strict=True)}
    return {**truths, **{f"{mark}{name}": float(value) for name, value in zip(task.classes, values, strict=True)}}


def metrics_of(task: Task, rows: Sequence[Row]) -> dict[str, float]:
    """Return the metrics of *rows*; NaN for undefined metrics, such as AUROC with one class."""
    return _METRICS[task.kind](task, _table(rows))


def intervals(task: Task, rows: Sequence[Row], seed: int) -> dict[str, tuple[float, float]]:
    """Return 95 % percentile intervals of the metrics, bootstrapped over subjects; empty with one subject."""
    table, rng = _table(rows), np.random.default_rng(seed)
    persons = [np.flatnonzero(table["subject"] == name) for name in sorted({row["subject"] for row in rows})]
    if len(persons) < 2:
        return {}
    found: dict[str, list[float]] = {}
    for _ in range(RESAMPLES):
        places = np.concatenate([persons[index] for index in rng.integers(len(persons), size=len(persons))])
        for name, value in _METRICS[task.kind](task, {name: column[places] for name, column in table.items()}).items():
            found.setdefault(name, []).append(value)
    defined = {name: values for name, values in found.items() if np.isfinite(values).any()}
    return {name: tuple(np.nanpercentile(values, (2.5, 97.5)).tolist()) for name, values in defined.items()}


def _table(rows: Sequence[Row]) -> dict[str, NDArray[Any]]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _segmentation(task: Task, table: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    names = [name for name in table if name.startswith("dice")]
    return {name: float(np.nanmean(table[name])) if np.isfinite(table[name]).any() else np.nan for name in names}


def _classification(task: Task, table: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    truth = table["truth"]
    areas = [_auroc(truth == name, table[f"p.{name}"]) for name in task.classes[-1:] * (len(task.classes) == 2)]
    areas = areas or [_auroc(truth == name, table[f"p.{name}"]) for name in task.classes]
    recalls = [np.mean(table["predicted"][truth == name] == name) for name in task.classes if (truth == name).any()]
    return {"auroc": float(np.mean(areas)), "balanced_accuracy": float(np.mean(recalls))}


def _multilabel(task: Task, table: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    areas = {f"auroc.{name}": _auroc(table[f"truth.{name}"] > 0, table[f"p.{name}"]) for name in task.classes}
    defined = [area for area in areas.values() if np.isfinite(area)]
    return {"auroc": float(np.mean(defined)) if defined else np.nan, **areas}


def _regression(task: Task, table: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    errors, found = [], {}
    for name in task.classes:
        truth, predicted = table[f"truth.{name}"], table[f"predicted.{name}"]
        errors.append(float(np.abs(truth - predicted).mean()))
        spread = ((truth - truth.mean()) ** 2).sum()
        found[f"r2.{name}"] = float(1 - ((truth - predicted) ** 2).sum() / spread) if spread else np.nan
    return {"mae": float(np.mean(errors)), **found}


def _survival(task: Task, table: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Harrell's concordance (JAMA 247, 1982): the fraction of comparable pairs that the risks order correctly."""
    time, event, risk = table["time"], table["event"] > 0, table["risk"]
    comparable = event[:, None] & (time[:, None] < time[None, :])
    right = (risk[:, None] > risk[None, :]) + 0.5 * (risk[:, None] == risk[None, :])
    return {"concordance": float(right[comparable].mean()) if comparable.any() else np.nan}


def _auroc(truth: NDArray[Any], score: NDArray[Any]) -> float:
    """The fraction of positive-negative pairs that the scores order correctly (Mann and Whitney, 1947)."""
    from scipy.stats import rankdata

    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return np.nan
    above = rankdata(score)[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


_METRICS: dict[str, Callable[[Task, Mapping[str, NDArray[Any]]], dict[str, float]]] = {
    "segmentation": _segmentation,
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
    "survival": _survival,
}
