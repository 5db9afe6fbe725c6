"""How far the nearest vectors of other persons agree: on all numbers of the vectors, not on a map of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.browse.coloring import Coloring
from umzoo.downstream.browse.projection import standardized
from umzoo.downstream.evaluate.probes import nearest

NEIGHBORS = 5
_BLOCK = 1024


@dataclass(frozen=True)
class Agreement:
    """What nearest neighbors predict of a property, and a constant prediction.

    Of a class *value* is the share of right answers and *blind* that of the largest class; of a number both are mean
    absolute errors, *blind* that of always saying the median.
    """

    coloring: Coloring
    value: float
    blind: float
    persons: int

    @property
    def text(self) -> str:
        """It in one sentence."""
        start = f"The {NEIGHBORS} nearest vectors of other persons (by all numbers of a vector, not by this picture)"
        if self.coloring.numbers is not None:
            return (
                f"{start} miss {self.coloring.name} by {self.short} on average; always saying the median misses it by"
                f" {self.blind_short} ({self.persons} persons)."
            )
        (low, high), largest = self._interval(), next(iter(self.coloring.counts))
        return (
            f"{start} tell {self.coloring.name} rightly in {self.short} (95% interval {low:.0%} to {high:.0%},"
            f" {self.persons} persons); always saying '{largest}' is right in {self.blind_short}."
        )

    @property
    def short(self) -> str:
        """The value alone."""
        return format(self.value, self._form)

    @property
    def blind_short(self) -> str:
        """What is reached without looking."""
        return format(self.blind, self._form)

    @property
    def _form(self) -> str:
        return ".0%" if self.coloring.numbers is None else ".3g"

    def _interval(self) -> tuple[float, float]:
        """Wilson's, as if each person were one answer."""
        from scipy.stats import binomtest

        limits = binomtest(round(self.value * self.persons), self.persons).proportion_ci(0.95, method="wilson")
        return float(limits.low), float(limits.high)


def agreement(features: NDArray[Any], subjects: NDArray[Any], coloring: Coloring) -> Agreement | None:
    """Return how far the nearest of the *features* ``(n, d)`` agree on *coloring*; None if too few tell of it.

    Vectors of one of the *subjects* ``(n,)`` are never neighbors of each other: they are alike whatever was learned.
    """
    known = np.array([text != "" for text in coloring.texts])
    persons = len(np.unique(subjects[known]))
    if persons < 2 or not coloring.tells:
        return None
    texts = np.array(coloring.texts)[known]
    names = np.array(list(coloring.counts))
    wanted = (texts[:, None] == names).astype(float) if coloring.numbers is None else coloring.numbers[known, None]
    predicted = _neighbor_means(features[known], subjects[known], wanted)
    if coloring.numbers is None:
        right = float((predicted.argmax(1) == wanted.argmax(1)).mean())
        return Agreement(coloring, right, float(wanted.mean(0).max()), persons)
    missed, blind = (float(np.abs(guess - wanted).mean()) for guess in (predicted, np.median(wanted)))
    return Agreement(coloring, missed, blind, persons)


def _neighbor_means(
    features: NDArray[Any], subjects: NDArray[Any], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean target ``(n, k)`` of the nearest rows of other subjects, closer ones counting more."""
    from scipy.spatial.distance import cdist

    rows = standardized(features)
    predicted = np.empty_like(targets)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        apart = np.where(subjects[part, None] == subjects, np.inf, cdist(rows[part], rows))
        predicted[part] = nearest(apart, targets, NEIGHBORS)
    return predicted
