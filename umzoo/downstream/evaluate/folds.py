"""Outer folds, and the labeled subjects of a training fold."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.errors import DataError

BINS = 4
"""Quantile bins by which numeric targets are stratified."""


def strata(targets: NDArray[Any], kind: str) -> NDArray[np.int64]:
    """Return the stratum of each scan: class, rarest label, event, or quantile of the first number."""
    if kind == "classification":
        return targets.astype(np.int64)
    if kind == "survival":
        return targets[:, 1].astype(np.int64)
    if kind == "multilabel":
        rarity = np.argsort(np.argsort(targets.sum(axis=0)))
        return np.asarray(np.where(targets > 0, rarity, targets.shape[1]).min(axis=1).astype(np.int64))
    first = targets.reshape(len(targets), -1)[:, 0]
    return np.searchsorted(np.quantile(first, np.linspace(0, 1, BINS + 1)[1:-1]), first).astype(np.int64)


def assign_folds(groups: NDArray[Any], subjects: NDArray[Any], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each scan ``(n,)``, grouped by subject and stratified by *groups*.

    Raises:
        DataError: if there are fewer subjects than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    count = len(np.unique(subjects))
    if count < folds:
        raise DataError(f"{count} subjects cannot be split into {folds} folds: give more scans or fewer folds")
    fold = np.zeros(len(subjects), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a group smaller than the number of folds
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        for number, (_, held) in enumerate(splitter.split(groups, _usable(groups, folds), subjects)):
            fold[held] = number
    return fold


def _usable(groups: NDArray[Any], folds: int) -> NDArray[Any]:
    """Merge groups with fewer scans than *folds* into one, because they cannot be stratified."""
    values, counts = np.unique(groups, return_counts=True)
    merged = np.where(np.isin(groups, values[counts < folds]), -1, groups)
    return np.zeros_like(groups) if (merged == -1).all() else merged


def labeled_order(groups: NDArray[Any], subjects: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Return the subjects in labeling order: first one of each group, then in proportion to the groups.

    A budget takes the first subjects of this order, so a small budget is a subset of every larger one.
    """
    names, first = np.unique(subjects, return_index=True)
    drawn = rng.permutation(len(names))
    names, strata_ = names[drawn], groups[first][drawn]
    place = np.zeros(len(names))
    for group in np.unique(strata_):
        members = np.flatnonzero(strata_ == group)
        place[members] = np.arange(len(members)) / len(members)
    return names[np.argsort(place, kind="stable")]


def size_of(budget: str, available: int) -> int:
    """Return the number of subjects of a *budget* such as ``"10"`` or ``"25%"``: at least 2, at most *available*."""
    wanted = round(float(budget[:-1]) / 100 * available) if budget.endswith("%") else int(budget)
    return min(max(wanted, 2), available)
