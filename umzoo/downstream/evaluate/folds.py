"""Outer and inner folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.tasks.stratification import stratified_folds
from umzoo.errors import DataError


def assign_folds(groups: NDArray[Any], subjects: NDArray[Any], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each scan ``(n,)``, grouped by subject and stratified by *groups*.

    Raises:
        DataError: if there are fewer subjects than folds.
    """
    count = len(np.unique(subjects))
    if count < folds:
        raise DataError(f"{count} subjects cannot be split into {folds} folds: give more scans or fewer folds")
    return stratified_folds(_usable(groups, folds), subjects, folds, seed)


def _usable(groups: NDArray[Any], folds: int) -> NDArray[Any]:
    """Merge groups with fewer scans than *folds* into one, because they cannot be stratified."""
    values, counts = np.unique(groups, return_counts=True)
    merged = np.where(np.isin(groups, values[counts < folds]), -1, groups)
    return np.zeros_like(groups) if (merged == -1).all() else merged
