"""Strata of targets; folds and orders of subjects that are stratified by them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 4
"""Quantile bins by which numeric targets are stratified."""


def strata(targets: NDArray[Any], kind: str) -> NDArray[np.int64]:
    """Return the stratum of each row of *targets*, ``(n,)`` or ``(n, k)``.

    It is the class, the rarest label, whether there was an event, or the quantile of the first number.
    """
    rows = targets.reshape(len(targets), -1)
    if kind == "classification":
        return rows[:, 0].astype(np.int64)
    if kind == "survival":
        return (rows[:, 1] > 0).astype(np.int64)
    if kind == "multilabel":
        rarity = np.argsort(np.argsort(rows.sum(axis=0)))
        return np.asarray(np.where(rows > 0, rarity, rows.shape[1]).min(axis=1), np.int64)
    edges = np.quantile(rows[:, 0], np.linspace(0, 1, BINS + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, rows[:, 0]), np.int64)


def stratified_folds(
    groups: NDArray[np.int64], subjects: Sequence[str] | NDArray[Any], folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each case ``(n,)``: cases of a subject share it, and strata *groups* are spread evenly.

    Subjects are shuffled here, because ``shuffle=True`` of scikit-learn before 1.8 gives folds that are not
    stratified (it shuffles the subjects' counts and not the subjects). Folds are those of later versions.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    _, numbers = np.unique(np.asarray(subjects), return_inverse=True)
    shuffled = np.arange(numbers.max() + 1)
    np.random.RandomState(seed).shuffle(shuffled)
    fold = np.zeros(len(groups), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a stratum smaller than the number of folds
        splits = StratifiedGroupKFold(folds).split(groups, groups, np.argsort(shuffled)[numbers])
        for number, (_, held) in enumerate(splits):
            fold[held] = number
    return fold


def labeled_order(groups: NDArray[Any], subjects: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Return the subjects in labeling order: first one of each group, then in proportion to the groups.

    A budget takes the first subjects of this order, so a small budget is a subset of every larger one.
    """
    names, first = np.unique(subjects, return_index=True)
    drawn = rng.permutation(len(names))
    names, strata_of_names = names[drawn], groups[first][drawn]
    place = np.zeros(len(names))
    for group in np.unique(strata_of_names):
        members = np.flatnonzero(strata_of_names == group)
        place[members] = np.arange(len(members)) / len(members)
    return names[np.argsort(place, kind="stable")]
