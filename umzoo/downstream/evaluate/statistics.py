"""Bootstrap intervals over subjects, paired tests between references, and verdicts in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.evaluate.metrics import METRICS, comparable, order, primary

POWER = 0.8
"""Statistical power that defines the smallest detectable difference."""

WIDENING = 1.25
"""Factor on the bootstrap standard deviation of a difference of cross-validated scores.

Scores of a fold come from one model, so they are not independent, and other training subjects would give other models;
no unbiased estimate of that variance exists (Bengio and Grandvalet, JMLR 2004). With this factor, the measured rate of
false differences of the whole pipeline is nominal (``benchmarks/evaluate.py``).
"""


@dataclass(frozen=True)
class Interval:
    """A value and its percentile bootstrap interval over subjects."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Comparison of two references by one metric at one label budget.

    Attributes:
        first: reference.
        second: reference or control that *first* is compared with.
        metric: name of the metric.
        budget: label budget.
        difference: first minus second, with its interval.
        p: two-sided p-value of the permutation test.
        adjusted: p-value after Holm's correction over the family.
        visible: smallest difference detected with probability :data:`POWER`, after the correction.
        subjects: number of subjects.
        level: significance level over the family.
        spread: standard deviation of the difference over the bootstrap.
        chance: difference that another random initialization exceeds with a probability of at most *level*; 0 if the
            second is not such a control, or has one initialization.
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
    spread: float = 0.0
    chance: float = 0.0

    @property
    def decision(self) -> int:
        """1: first is better; -1: worse; 0: no difference found. Test, interval and *chance* have to agree."""
        sure = self.adjusted <= self.level and self.difference.low * self.difference.high > 0
        return int(np.sign(self.difference.value)) if sure and abs(self.difference.value) > self.chance else 0

    @property
    def verdict(self) -> str:
        """The decision in words."""
        gap, name = self.difference, TITLES.get(self.metric, self.metric)
        if self.decision == 0:
            return (
                f"no difference to {self.second} seen ({gap.value:+.2f} {name} [{gap.low:.2f}, {gap.high:.2f}]);"
                f" n = {self.subjects} can see {self.visible:.2f} or more{self._drawings}"
            )
        low, high = (gap.low, gap.high) if self.decision > 0 else (-gap.high, -gap.low)
        word = "better" if self.decision > 0 else "worse"
        return f"{word} than {self.second} by {abs(gap.value):.2f} {name} [{low:.2f}, {high:.2f}]"

    @property
    def _drawings(self) -> str:
        """A remark if the variation between random initializations exceeds the smallest detectable difference."""
        if self.chance <= self.visible:
            return ""
        return f", but random weights alone differ by up to {self.chance:.2f} from drawing to drawing"


TITLES = {
    "auroc": "AUROC",
    "balanced_accuracy": "balanced accuracy",
    "r2": "R2",
    "mae": "MAE",
    "c_index": "C-index",
    "dice": "Dice",
}


def draw_weights(subjects: NDArray[Any], count: int, seed: int) -> NDArray[Any]:
    """Return the multiplicity of each scan in each of *count* bootstrap samples of the subjects: ``(count, n)``."""
    names, member = np.unique(subjects, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
    return drawn[:, member].astype(np.float64)


def interval(value: float, drawn: NDArray[Any], level: float) -> Interval:
    """Return *value* with the percentile interval of its bootstrap values *drawn* ``(B,)``."""
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(drawn, [level / 2, 1 - level / 2])
    return Interval(value, float(low), float(high))


@dataclass(frozen=True, eq=False)
class Judged:
    """Out-of-fold scores ``(S, n, k)`` of one reference, their metric, and its bootstrap values ``(B,)``."""

    scores: NDArray[Any]
    value: float
    drawn: NDArray[Any]


def judge(scores: NDArray[Any], targets: NDArray[Any], kind: str, weights: NDArray[Any]) -> Judged:
    """Return *scores* with the primary metric of *kind*; *weights* ``(B, n)`` are those of :func:`draw_weights`."""
    metric = METRICS[kind][primary(kind)]
    value = float(metric(targets, scores, np.ones((1, len(targets))))[0])
    return Judged(scores, value, metric(targets, scores, weights))


def compare(
    names: tuple[str, str],
    judged: tuple[Judged, Judged],
    targets: NDArray[Any],
    subjects: NDArray[Any],
    kind: str,
    budget: str,
    swaps: tuple[int, float, int],
    draws: int = 1,
    widening: float = 1.0,
) -> Comparison:
    """Compare two references on the same scans.

    Args:
        names: names of both.
        judged: scores of both; the second may hold several random initializations, concatenated.
        targets: as in :class:`~umzoo.downstream.evaluate.feature_table.Compared`.
        subjects: subject of each scan.
        kind: kind of the task.
        budget: label budget.
        swaps: number of permutations, significance level and seed.
        draws: number of random initializations in the second.
        widening: factor on the standard deviation of the difference, see :data:`WIDENING`.
    """
    permutations, level, seed = swaps
    first, second = judged
    first = replace(first, scores=np.tile(first.scores, (len(second.scores) // len(first.scores), 1, 1)))
    drawn = first.drawn - second.drawn
    p = _widened(swap_test(gains((first.scores, second.scores), targets, kind), subjects, permutations, seed), widening)
    value = first.value - second.value
    gap = interval(value, value + widening * (drawn - value), level)
    spread = widening * float(np.nanstd(drawn))
    visible = visible_difference(spread, level)
    chance = chance_of_drawings(first.scores, second.scores, targets, kind, draws, level)
    people = len(np.unique(subjects))
    return Comparison(*names, primary(kind), budget, gap, p, p, visible, people, level, spread, chance)


def _widened(p: float, widening: float) -> float:
    """Return the two-sided *p* of a normal statistic after its standard deviation is multiplied by *widening*."""
    from scipy.stats import norm

    return p if widening == 1 else float(2 * norm.sf(norm.isf(p / 2) / widening))


def chance_of_drawings(
    first: NDArray[Any], second: NDArray[Any], targets: NDArray[Any], kind: str, draws: int, level: float
) -> float:
    """Return the deviation from the mean of *draws* random initializations that another exceeds with *level*.

    It is the prediction interval of a normal distribution, from the differences between *first* ``(S, n, k)`` and each
    initialization in *second* ``(S, n, k)``, which are concatenated. With a single initialization, it is 0.
    """
    from scipy.stats import t

    if draws < 2:
        return 0.0
    metric, ones = METRICS[kind][primary(kind)], np.ones((1, len(targets)))
    parts = zip(np.split(first, draws), np.split(second, draws), strict=True)
    gaps = [float((metric(targets, a, ones) - metric(targets, b, ones))[0]) for a, b in parts]
    return float(t.ppf(1 - level / 2, draws - 1) * np.std(gaps, ddof=1) * np.sqrt(1 + 1 / draws))


def visible_difference(spread: float, level: float) -> float:
    """Return the smallest difference that a test of *level* detects with probability :data:`POWER`."""
    from scipy.stats import norm

    return float((norm.ppf(1 - level / 2) + norm.ppf(POWER)) * spread)


def swap_test(gains: NDArray[Any], subjects: NDArray[Any], permutations: int, seed: int) -> float:
    """Return the two-sided p-value of a permutation test that swaps the scores of two references by subject.

    *gains* ``(n,)`` are the contributions of scans to the difference (:func:`gains`): a swap changes their sign.
    """
    names, member = np.unique(subjects, return_inverse=True)
    of_subject = np.bincount(member, weights=gains)
    signs = 1.0 - 2 * np.random.default_rng(seed).integers(0, 2, (permutations, len(names)))
    values = np.abs(np.concatenate([[of_subject.sum()], signs @ of_subject]))
    return float((values >= values[0] - 1e-12).mean())


def gains(scores: tuple[NDArray[Any], NDArray[Any]], targets: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return the contribution of each scan to the difference of two references' *scores* ``(S, n, k)``.

    A concordance is a sum over pairs of scans. If one scan of a pair is swapped, the pair compares scores of two
    references, so scores are first ranked within their reference. The sum over the pairs of scan i is then linear in
    the sign of its swap: all products of two signs cancel.
    """
    if kind == "segmentation":
        return np.asarray((scores[0] - scores[1]).mean(axis=0)[:, 0] / len(targets))
    if kind == "regression":
        scale = targets.var(axis=0).clip(1e-12) * len(targets)
        return np.asarray((((scores[1] - targets) ** 2 - (scores[0] - targets) ** 2) / scale).mean(axis=(0, 2)))
    first, second, found = _ranked(scores[0]), _ranked(scores[1]), []
    for column, pairs in enumerate(comparable(targets, kind)):
        if pairs.any():
            a, b, share = first[..., column], second[..., column], pairs / pairs.sum()
            own = (order(a, a) - order(b, b)) * share
            mixed = (order(a, b) - order(b, a)) * share
            found.append(((own + mixed).sum(axis=1) + (own - mixed).sum(axis=0)) / 2)
    return np.asarray(np.mean(found, axis=0)) if found else np.zeros(len(targets))


def holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return one family of *comparisons* with p-values adjusted by Holm's method (Holm, Scand J Stat 1979).

    The smallest detectable difference is updated to the level at which each is rejected, given the other p-values.
    """
    ranks = sorted(range(len(comparisons)), key=lambda number: comparisons[number].p)
    adjusted, largest = list(comparisons), 0.0
    for position, number in enumerate(ranks):
        one = comparisons[number]
        largest = max(largest, min(1.0, one.p * (len(ranks) - position)))
        others = [comparisons[other].p for other in ranks if other != number]
        visible = visible_difference(one.spread, _critical(others, one.level))
        adjusted[number] = replace(one, adjusted=largest, visible=visible)
    return adjusted


def _critical(others: Sequence[float], level: float) -> float:
    """Return the greatest p-value that is rejected, given the sorted p-values of the *others*."""
    count = len(others) + 1
    rejected = 0
    while rejected < len(others) and others[rejected] <= level / (count - rejected):
        rejected += 1
    return level / (count - rejected)


def _ranked(scores: NDArray[Any]) -> NDArray[Any]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(scores, axis=1))
