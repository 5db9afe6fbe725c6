"""Intervals over subjects, paired tests between references, and what they amount to in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.evaluate.metrics import METRICS, comparable, order, primary

POWER = 0.8
"""Probability with which the least visible difference would be seen."""


@dataclass(frozen=True)
class Interval:
    """A value and the interval of the percentile bootstrap over subjects."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two references by one metric at one label budget.

    Attributes:
        first: reference.
        second: reference or control that it is compared with.
        metric: name.
        budget: label budget.
        difference: of first minus second, with its interval.
        p: of the permutation test, two-sided.
        adjusted: p after Holm's correction over the family.
        visible: least difference that would be seen with probability :data:`POWER`.
        subjects: how many.
        level: nominal probability of a false difference.
    """

    first: str
    second: str
    metric: str
    budget: str
    difference: Interval
    p: float
    adjusted: float
    visible: float
    subjects: int
    level: float

    @property
    def decision(self) -> int:
        """1: first is better; -1: worse; 0: no difference seen. Test and interval have to agree."""
        sure = self.adjusted <= self.level and self.difference.low * self.difference.high > 0
        return int(np.sign(self.difference.value)) if sure else 0

    @property
    def verdict(self) -> str:
        """The decision in words."""
        gap, name = self.difference, TITLES.get(self.metric, self.metric)
        if self.decision == 0:
            return (
                f"no difference to {self.second} seen ({gap.value:+.2f} {name} [{gap.low:.2f}, {gap.high:.2f}]);"
                f" n = {self.subjects} can see {self.visible:.2f} or more"
            )
        low, high = (gap.low, gap.high) if self.decision > 0 else (-gap.high, -gap.low)
        word = "better" if self.decision > 0 else "worse"
        return f"{word} than {self.second} by {abs(gap.value):.2f} {name} [{low:.2f}, {high:.2f}]"


TITLES = {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "r2": "R2", "mae": "MAE", "c_index": "C-index"}


def draw_weights(subjects: NDArray[Any], count: int, seed: int) -> NDArray[Any]:
    """Return how often each scan is in each of *count* bootstrap samples of the subjects: ``(count, n)``."""
    names, member = np.unique(subjects, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
    return drawn[:, member].astype(np.float64)


def interval(value: float, drawn: NDArray[Any], level: float) -> Interval:
    """Percentile interval of the drawings *drawn* ``(B,)`` around *value*."""
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(drawn, [level / 2, 1 - level / 2])
    return Interval(value, float(low), float(high))


def compare(
    names: tuple[str, str],
    scores: tuple[NDArray[Any], NDArray[Any]],
    targets: NDArray[Any],
    subjects: NDArray[Any],
    kind: str,
    budget: str,
    drawings: tuple[NDArray[Any], int, float, int],
) -> Comparison:
    """Compare out-of-fold *scores* ``(S, n, k)`` of two references for the same scans.

    *drawings* are weights of the bootstrap, number of swaps, level and seed.
    """
    weights, permutations, level, seed = drawings
    name = primary(kind)
    metric = METRICS[kind][name]
    one = np.ones((1, len(subjects)))
    value = float((metric(targets, scores[0], one) - metric(targets, scores[1], one))[0])
    drawn = metric(targets, scores[0], weights) - metric(targets, scores[1], weights)
    p = swap_test(scores, targets, subjects, kind, permutations, seed)
    count = len(np.unique(subjects))
    gap = interval(value, drawn, level)
    return Comparison(*names, name, budget, gap, p, p, visible_difference(drawn, level), count, level)


def visible_difference(drawn: NDArray[Any], level: float) -> float:
    """Least true difference that is seen with probability :data:`POWER`, from the spread of the paired bootstrap."""
    from scipy.stats import norm

    return float((norm.ppf(1 - level / 2) + norm.ppf(POWER)) * np.nanstd(drawn))


def swap_test(
    scores: tuple[NDArray[Any], NDArray[Any]],
    targets: NDArray[Any],
    subjects: NDArray[Any],
    kind: str,
    permutations: int,
    seed: int,
) -> float:
    """Two-sided p that exchanging the two references' scores, subject by subject, makes a difference as large.

    Scores of a concordance are ranked within their reference first, as two references need not share a scale.
    """
    names, member = np.unique(subjects, return_inverse=True)
    swapped = np.random.default_rng(seed).integers(0, 2, (permutations, len(names))).astype(np.float64)
    swapped = np.concatenate([np.zeros((1, len(names))), swapped])[:, member]
    if kind == "regression":
        scale = targets.var(axis=0).clip(1e-12)
        gap = (((scores[1] - targets) ** 2 - (scores[0] - targets) ** 2) / scale).mean(axis=(0, 2))
        values = np.abs((1 - 2 * swapped) @ gap)
    else:
        values = np.abs(_swapped_concordance(_ranked(scores[0]), _ranked(scores[1]), targets, kind, swapped))
    return float((values >= values[0] - 1e-12).mean())


def holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return one family of *comparisons* with p adjusted by Holm's method (Holm, Scand J Stat 1979)."""
    ranks = sorted(range(len(comparisons)), key=lambda number: comparisons[number].p)
    adjusted, largest = list(comparisons), 0.0
    for position, number in enumerate(ranks):
        largest = max(largest, min(1.0, comparisons[number].p * (len(ranks) - position)))
        adjusted[number] = replace(comparisons[number], adjusted=largest)
    return adjusted


def _ranked(scores: NDArray[Any]) -> NDArray[Any]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(scores, axis=1))


def _swapped_concordance(
    first: NDArray[Any], second: NDArray[Any], targets: NDArray[Any], kind: str, swapped: NDArray[Any]
) -> NDArray[Any]:
    """Differences of concordance ``(P,)`` where the rows *swapped* ``(P, n)`` say which scans change sides."""
    gaps, kept = [], 1 - swapped
    for column, pairs in enumerate(comparable(targets, kind)):
        if not pairs.any():
            continue
        a, b = first[..., column], second[..., column]
        aa, ab, ba, bb = (order(x, y) * pairs / pairs.sum() for x, y in ((a, a), (a, b), (b, a), (b, b)))
        same = (kept @ (aa - bb) * kept).sum(1) - (swapped @ (aa - bb) * swapped).sum(1)
        mixed = (kept @ (ab - ba) * swapped).sum(1) + (swapped @ (ba - ab) * kept).sum(1)
        gaps.append(same + mixed)
    return np.asarray(np.mean(gaps, axis=0))
