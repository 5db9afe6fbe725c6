"""Evaluates a table of features: out-of-fold scores, intervals and comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.evaluate.config import EvaluateConfig, size_of
from umzoo.downstream.evaluate.feature_table import Compared, FeatureTable
from umzoo.downstream.evaluate.folds import assign_folds
from umzoo.downstream.evaluate.metrics import METRICS, primary
from umzoo.downstream.evaluate.probes import PROBES, inner_folds, probe, reduce
from umzoo.downstream.evaluate.statistics import (
    WIDENING,
    Comparison,
    Interval,
    Judged,
    compare,
    draw_weights,
    holm,
    interval,
    judge,
)
from umzoo.downstream.tasks.stratification import labeled_order, strata

Key = tuple[str, str, str]
"""Reference, probe, label budget."""
METHODS = {"decoder": "frozen features, linear decoder of voxels", "fine-tuning": "fine-tuning of the whole network"}
"""Descriptions of methods other than probes of scan vectors."""


@dataclass(frozen=True)
class Score:
    """One metric of one reference."""

    reference: str
    probe: str
    budget: str
    metric: str
    interval: Interval
    control: bool


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        table: evaluated scans and references.
        config: options.
        predictions: out-of-fold scores ``(S, n, k)``.
        scores: every metric with its interval.
        comparisons: each reference with its controls and the other references, by the first probe and primary metric.
    """

    table: Compared
    config: EvaluateConfig
    predictions: dict[Key, NDArray[Any]]
    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def probe(self) -> str:
        """Name of the probe by which references are compared."""
        return next(iter(self.predictions))[1]

    @property
    def method(self) -> str:
        """Description of the method of prediction."""
        return METHODS.get(self.probe, f"frozen features, {self.probe} probe")


def evaluate(table: FeatureTable, config: EvaluateConfig | None = None) -> Evaluation:
    """Probe every reference of *table* at every label budget, and compare them.

    Raises:
        DataError: if the kind cannot be probed, or there are too few subjects.
    """
    config = config or EvaluateConfig()
    primary(table.kind)
    return conclude(table, config, out_of_fold(table, config))


def conclude(
    table: Compared, config: EvaluateConfig, predictions: dict[Key, NDArray[Any]], draws: int | None = None
) -> Evaluation:
    """Return metrics, intervals and comparisons of *predictions* ``(S, n, k)`` of any method.

    Predictions of the random control are concatenated over *draws* initializations; None infers it from their length.
    """
    weights = draw_weights(table.subjects, config.bootstrap, config.seed)
    judged = {key: judge(scores, table.targets, table.kind, weights) for key, scores in predictions.items()}
    scores = tuple(_scores(table, config, judged, weights))
    return Evaluation(table, config, predictions, scores, tuple(_comparisons(table, config, judged, draws)))


def out_of_fold(table: FeatureTable, config: EvaluateConfig) -> dict[Key, NDArray[Any]]:
    """Return scores ``(S, n, k)`` of every scan by probes trained on other subjects; r S for r initializations.

    Folds and labeled subjects are the same for all references, controls and probes.
    """
    targets, outputs = _trained_on(table), _outputs(table)
    probes = PROBES.get(table.kind, ("linear",))
    drawn = {name: array[None] if array.ndim == 2 else array for name, array in table.features.items()}
    found = {
        (name, p, b): np.zeros((len(array) * config.seeds, len(table.subjects), outputs))
        for name, array in drawn.items()
        for p in probes
        for b in config.labels
    }
    for number, budget, train, held, seed in splits(table, config):
        wanted = targets[train]
        inner = inner_folds(table.kind, wanted, table.subjects[train], config.inner_folds, seed)
        for reference, arrays in drawn.items():
            for draw, features in enumerate(arrays):
                rows, asked = reduce(features[train], features[held])
                for name in probes:
                    scores = probe(name, table.kind, rows, wanted, asked, inner)
                    found[reference, name, budget][draw * config.seeds + number, held] = scores
    return found


def splits(table: Compared, config: EvaluateConfig) -> Iterator[tuple[int, str, NDArray[Any], NDArray[Any], int]]:
    """Yield index of the seed, label budget, training scans, held-out scans, and seed."""
    groups = strata(table.targets, table.kind)
    for number in range(config.seeds):
        seed = config.seed + number
        fold = table.folds if table.folds is not None else assign_folds(groups, table.subjects, config.folds, seed)
        for part in np.unique(fold):
            held = np.flatnonzero(fold == part)
            rest = np.flatnonzero(fold != part)
            ordered = labeled_order(groups[rest], table.subjects[rest], np.random.default_rng((seed, held[0])))
            for budget in config.labels:
                chosen = ordered[: size_of(budget, len(ordered))]
                yield number, budget, rest[np.isin(table.subjects[rest], chosen)], held, seed


def _trained_on(table: FeatureTable) -> NDArray[Any]:
    if table.kind == "classification":
        return np.eye(int(table.targets.max()) + 1)[table.targets.astype(np.int64)]
    return np.asarray(table.targets, np.float64)


def _outputs(table: FeatureTable) -> int:
    return 1 if table.kind == "survival" else _trained_on(table).shape[1]


def _scores(
    table: Compared, config: EvaluateConfig, judged: dict[Key, Judged], weights: NDArray[Any]
) -> Iterator[Score]:
    one = np.ones((1, len(table.subjects)))
    for (reference, name, budget), it in judged.items():
        for metric, function in METRICS[table.kind].items():
            value, drawn = it.value, it.drawn
            if metric != primary(table.kind):
                value = float(function(table.targets, it.scores, one)[0])
                drawn = function(table.targets, it.scores, weights)
            found = interval(value, drawn, config.level)
            yield Score(reference, name, budget, metric, found, reference in table.controls)


def pairs_of(table: Compared) -> list[tuple[str, str]]:
    """Return the pairs to compare: each reference with its random twin, the simple features, and later references."""
    pairs = []
    for position, name in enumerate(table.references):
        others = [table.random.get(name, ""), table.simple, *table.references[position + 1 :]]
        pairs += [(name, other) for other in others if other]
    return pairs


def _comparisons(
    table: Compared, config: EvaluateConfig, judged: dict[Key, Judged], draws: int | None
) -> Iterator[Comparison]:
    """Yield comparisons by the first probe; those of one budget are one family of Holm's correction."""
    swaps = (config.permutations, config.level, config.seed)
    for budget in config.labels:
        family = []
        for pair in pairs_of(table):
            first, second = (
                next(it for (name, _, size), it in judged.items() if (name, size) == (wanted, budget))
                for wanted in pair
            )
            drawn = draws or len(second.scores) // config.seeds if pair[1] == table.random.get(pair[0]) else 1
            both = (first, second)
            family.append(
                compare(pair, both, table.targets, table.subjects, table.kind, budget, swaps, drawn, WIDENING)
            )
        yield from holm(family)
