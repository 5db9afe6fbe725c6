"""Label budgets: the number of labeled training subjects, and their selection."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator

from umzoo.downstream.evaluate.config import Budget, size_of
from umzoo.downstream.tasks.folds import Split, case_strata
from umzoo.downstream.tasks.stratification import labeled_order

Labels = Annotated[Budget, BeforeValidator(lambda given: str(given) if isinstance(given, int) else given)]
"""A number of subjects, such as 8 or "8", or a percentage, such as "25%"."""


def with_labels(split: Split, kind: str, budget: str, seed: int) -> Split:
    """Return *split* with the training cases of *budget* subjects only; *seed* fixes the random choice.

    A small budget is a subset of every larger one, and small budgets cover as many strata of targets as possible.
    """
    if budget == "100%":
        return split
    subjects = np.array([case.subject for case in split.train])
    ordered = labeled_order(case_strata(split.train, kind), subjects, np.random.default_rng((seed, 2)))
    count = int(budget) if budget.isdigit() else size_of(budget, len(ordered))
    chosen = set(ordered[:count].tolist())
    return replace(split, train=tuple(case for case in split.train if case.subject in chosen))
