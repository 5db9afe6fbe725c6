"""Options of an evaluation."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from umzoo.config import Config


def _budget(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d*|(100|[1-9]?\d(\.\d+)?)%", text) or text.startswith("0"):
        raise ValueError(f"a label budget is a number of subjects or a share such as 25%, got '{text}'")
    return text


Budget = Annotated[str, AfterValidator(_budget)]


class EvaluateConfig(Config):
    """How probes are trained and compared."""

    labels: tuple[Budget, ...] = Field(
        ("100%",), min_length=1, description="label budgets of a training fold: subjects (10), or a share (25%)"
    )
    seeds: int = Field(3, ge=1, description="repetitions with other folds and other drawings of the labels")
    draws: int = Field(3, ge=0, description="drawings of the random weights that references are compared with; 0: none")
    folds: int = Field(5, ge=2, description="outer folds of cross-validation")
    inner_folds: int = Field(3, ge=2, description="inner folds, which choose penalties and neighbors")
    bootstrap: int = Field(2000, ge=100, description="drawings of the subjects for intervals")
    permutations: int = Field(4000, ge=100, description="swaps of two references for a test")
    level: float = Field(0.05, gt=0, lt=0.5, description="probability of a false difference, over one family of tests")
    seed: int = Field(0, ge=0, description="first seed; folds, labels, drawings and swaps follow from it")
