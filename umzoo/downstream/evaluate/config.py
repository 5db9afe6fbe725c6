"""Options of an evaluation."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from umzoo.config import Config, Seed


def _budget(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d*|(100|[1-9]?\d(\.\d+)?)%", text) or text.startswith("0"):
        raise ValueError(f"a label budget is a number of subjects or a percentage such as 25%, got '{text}'")
    return text


Budget = Annotated[str, AfterValidator(_budget)]


class EvaluateConfig(Config):
    """Options of training and comparing probes."""

    labels: tuple[Budget, ...] = Field(
        ("100%",), min_length=1, description="label budgets of a training fold: subjects (10), or a percentage (25%)"
    )
    seeds: int = Field(3, ge=1, description="repetitions with different folds and labeled subsets")
    draws: int = Field(3, ge=0, description="random initializations of the control network; 0: no such control")
    folds: int = Field(5, ge=2, description="outer folds of cross-validation")
    inner_folds: int = Field(3, ge=2, description="inner folds, which select penalties and numbers of neighbors")
    bootstrap: int = Field(2000, ge=100, description="bootstrap samples of the subjects for intervals")
    permutations: int = Field(4000, ge=100, description="permutations of a paired test")
    level: float = Field(0.05, gt=0, lt=0.5, description="significance level over one family of tests")
    seed: Seed = Field(0, description="first seed of folds, labeled subsets, bootstrap and permutations")


def size_of(budget: str, available: int) -> int:
    """Return the number of subjects of a *budget* such as ``"10"`` or ``"25%"``: at least 2, at most *available*."""
    wanted = round(float(budget[:-1]) / 100 * available) if budget.endswith("%") else int(budget)
    return min(max(wanted, 2), available)
