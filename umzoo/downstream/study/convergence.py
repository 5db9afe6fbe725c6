"""Convergence: learning curves, and the step at which an arm reaches a fraction of the control's final value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from umzoo.downstream.finetune.scores import LOWER_IS_BETTER, MAIN

SHARE = 0.9
Curve = dict[int, float]
"""Step to metric, averaged over folds."""
Curves = dict[tuple[str, str, str], Curve]
"""Arm, label budget and seed to its curve."""


@dataclass(frozen=True)
class Arrival:
    """Number of steps in which an arm reached :data:`SHARE` of the control's final value.

    Attributes:
        arm: name of the arm.
        labels: label budget.
        steps: median over the seeds; infinite if most seeds never reached it.
        ratio: median over seeds of its steps relative to those of the control with the same seed; NaN without a pair.
        reached: number of seeds that reached it.
        seeds: number of seeds.
    """

    arm: str
    labels: str
    steps: float
    ratio: float
    reached: int
    seeds: int


def curves_of(rows: Sequence[dict[str, str]], name: str = "metric") -> Curves:
    """Return the curves of the quantity *name* from the rows of one task."""
    found: dict[tuple[str, str, str], dict[int, list[float]]] = {}
    for row in rows:
        if row["name"] == name:
            curve = found.setdefault((row["arm"], row["labels"], row["seed"]), {})
            curve.setdefault(int(row["step"]), []).append(float(row["value"]))
    return {key: {step: float(np.mean(curve[step])) for step in sorted(curve)} for key, curve in found.items()}


def arrivals(curves: Curves, kind: str, control: str) -> list[Arrival]:
    """Return the :class:`Arrival` of each arm and label budget, relative to the control with the same seeds."""
    lower = MAIN[kind] in LOWER_IS_BETTER
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for (arm, labels, seed), curve in curves.items():
        if (control, labels, seed) in curves:
            other = curves[control, labels, seed]
            final = other[max(other)]
            target = final / SHARE if lower else final * SHARE
            pair = _first(curve, target, lower), _first(other, target, lower)
            found.setdefault((arm, labels), []).append(pair)
    return [_arrival(arm, labels, pairs) for (arm, labels), pairs in found.items()]


def _first(curve: Curve, target: float, lower: bool) -> float:
    """Return the first step at which *curve* reaches *target*; infinite if it never does."""
    return next(
        (float(step) for step, value in curve.items() if (value <= target if lower else value >= target)), np.inf
    )


def _arrival(arm: str, labels: str, pairs: Sequence[tuple[float, float]]) -> Arrival:
    steps = np.array([mine for mine, _ in pairs])
    ratios = [mine / other for mine, other in pairs if np.isfinite(other)]
    middle = float(np.sort(steps)[len(steps) // 2]) if np.isinf(steps).any() else float(np.median(steps))
    ratio = float(np.sort(ratios)[len(ratios) // 2]) if ratios else float("nan")
    return Arrival(arm, labels, middle, ratio, int(np.isfinite(steps).sum()), len(pairs))
