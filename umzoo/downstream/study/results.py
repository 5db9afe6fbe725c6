"""Metrics of the arms, and paired differences from the control, with intervals over seeds and subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.evaluate.metrics import METRICS, ratio
from umzoo.downstream.evaluate.metrics import primary as primary_of_scores
from umzoo.downstream.evaluate.statistics import Interval, draw_weights, interval

Rows = Sequence[dict[str, str]]
DRAWINGS = 2000
LEVEL = 0.05


def primary(kind: str) -> str:
    """Return the primary metric of tasks of *kind*; for all of them, higher is better."""
    return "dice" if kind == "segmentation" else primary_of_scores(kind)


@dataclass(frozen=True)
class Group:
    """Predictions of one arm with one seed, over all folds.

    Attributes:
        cases: names of the cases, sorted.
        subjects: subject of each case ``(n,)``.
        scores: Dice ``(n,)`` for segmentation, else predictions ``(n, k)``.
        targets: class index ``(n,)``, or numbers ``(n, k)``; empty for segmentation.
    """

    cases: tuple[str, ...]
    subjects: NDArray[np.str_]
    scores: NDArray[np.float64]
    targets: NDArray[np.float64]

    def metric(self, kind: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the metric ``(B,)`` under *weights* of the cases ``(B, n)``."""
        if kind == "segmentation":
            return ratio(weights @ self.scores, weights.sum(1))
        function = METRICS[kind][primary_of_scores(kind)]
        targets = self.targets.astype(np.int64) if kind == "classification" else self.targets
        return np.asarray(function(targets, self.scores[None], weights))


@dataclass(frozen=True)
class Result:
    """One arm on one task with one label budget.

    Attributes:
        arm: name of the arm.
        labels: label budget.
        value: mean of the metric over seeds.
        difference: mean difference from the control over common seeds; None for the control itself.
        ahead: number of seeds with which the arm is better than the control.
        seeds: number of common seeds.
        by_seed: metric of each seed.
    """

    arm: str
    labels: str
    value: Interval
    difference: Interval | None
    ahead: int
    seeds: int
    by_seed: dict[str, float]


def group_rows(rows: Rows, kind: str) -> dict[tuple[str, str, str], Group]:
    """Return the predictions of one task by arm, label budget and seed."""
    found: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for row in rows:
        cases = found.setdefault((row["arm"], row["labels"], row["seed"]), {})
        case = cases.setdefault(row["case"], {"subject": row["subject"]})
        case[row["name"]] = row["value"]
    return {key: _group(cases, kind) for key, cases in found.items()}


def _group(cases: dict[str, dict[str, str]], kind: str) -> Group:
    names = sorted(cases)
    table = [cases[name] for name in names]
    subjects = np.array([row["subject"] for row in table])
    classes = [name.removeprefix("p.") for name in table[0] if name.startswith("p.")]

    def numbers(prefix: str) -> NDArray[np.float64]:
        columns = [name for name in table[0] if name.startswith(prefix)]
        return np.array([[float(row[name]) for name in columns] for row in table])

    if kind == "segmentation":
        scores, targets = np.array([float(row["dice"]) for row in table]), np.zeros(0)
    elif kind == "classification":
        scores, targets = numbers("p."), np.array([float(classes.index(row["truth"])) for row in table])
    elif kind == "survival":
        scores, targets = numbers("risk"), np.array([[float(row["time"]), float(row["event"])] for row in table])
    else:
        scores, targets = numbers("p." if kind == "multilabel" else "predicted."), numbers("truth.")
    return Group(tuple(names), subjects, scores, targets)


def compare_arms(groups: dict[tuple[str, str, str], Group], kind: str, control: str, seed: int = 0) -> list[Result]:
    """Return the result of every arm and label budget.

    Intervals come from a bootstrap that resamples seeds and subjects independently and weights each prediction by the
    product (Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007). All arms have the same resamples.
    """
    subjects = np.unique(np.concatenate([group.subjects for group in groups.values()]))
    seeds = np.unique([key[2] for key in groups])
    drawn = draw_weights(subjects, DRAWINGS, seed), draw_weights(seeds, DRAWINGS, seed + 1)
    values = {key: _drawn(group, kind, subjects, drawn[0]) for key, group in groups.items()}
    results = []
    for arm, labels in dict.fromkeys((arm, labels) for arm, labels, _ in groups):
        of_arm = {s: values[arm, labels, s] for s in seeds if (arm, labels, s) in values}
        of_control = {s: values[control, labels, s] for s in seeds if (control, labels, s) in values}
        paired = {s: of_arm[s] - of_control[s] for s in of_arm if s in of_control} if arm != control else {}
        gap = _over_seeds(paired, seeds, drawn[1]) if paired else None
        ahead = sum(bool(it[0] > 0) for it in paired.values())
        by_seed = {str(s): float(it[0]) for s, it in of_arm.items()}
        results.append(Result(arm, labels, _over_seeds(of_arm, seeds, drawn[1]), gap, ahead, len(paired), by_seed))
    return results


def _drawn(group: Group, kind: str, subjects: NDArray[np.str_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the metric of *group*, followed by that of each bootstrap resample ``(1 + B,)``."""
    of_case = weights[:, np.searchsorted(subjects, group.subjects)]
    return group.metric(kind, np.concatenate([np.ones((1, of_case.shape[1])), of_case]))


def _over_seeds(
    values: dict[str, NDArray[np.float64]], seeds: NDArray[np.str_], weights: NDArray[np.float64]
) -> Interval:
    """Return the mean over seeds with its interval, from *values*: the metric and its resamples by seed."""
    stacked = np.stack(list(values.values()))
    of_seed = weights[:, np.searchsorted(seeds, list(values))].T
    defined = np.where(np.isfinite(stacked[:, 1:]), of_seed, 0.0)
    drawn = ratio((np.nan_to_num(stacked[:, 1:]) * defined).sum(0), defined.sum(0))
    return interval(float(np.nanmean(stacked[:, 0])), drawn, LEVEL)
