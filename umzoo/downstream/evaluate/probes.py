"""Probes of frozen features: linear models and nearest neighbors, with settings chosen on inner folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.evaluate.folds import assign_folds
from umzoo.downstream.evaluate.linear import answers, fit_linear, known_classes
from umzoo.downstream.tasks.stratification import strata

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties of linear models, for feature vectors with a mean squared norm of 1."""
NEIGHBORS = (3, 5, 10)
"""Numbers of neighbors of kNN."""
PROBES = {"classification": ("linear", "knn"), "multilabel": ("linear", "knn"), "regression": ("linear", "knn")}
"""Kind of task to its probes; comparisons use the first. Other kinds, such as survival, have the linear one only."""


def reduce(train: NDArray[Any], test: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Standardize by *train* ``(n, d)`` and project both onto the at most ``n - 1`` principal axes of *train*.

    The projection is a rotation, so it preserves models with an L2 penalty and distances between training rows. Rows
    are scaled so that those of *train* have a mean squared norm of 1.
    """
    mean, spread = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 1e-10 * np.abs(mean).clip(1e-300), spread, np.inf)  # constant features become 0
    a, b = (train - mean) / spread, (test - mean) / spread
    if a.shape[1] > a.shape[0]:
        values, vectors = np.linalg.eigh(a @ a.T)
        used = values > max(values.max(), 1e-30) * 1e-10
        axes = a.T @ (vectors[:, used] / np.sqrt(values[used]))
    else:
        axes = np.linalg.eigh(a.T @ a)[1]
    a, b = a @ axes, b @ axes
    scale = np.sqrt((a**2).sum(1).mean()) if a.any() else 1.0
    return a / scale, b / scale


def inner_folds(
    kind: str, targets: NDArray[Any], subjects: NDArray[Any], folds: int, seed: int
) -> NDArray[np.int64] | None:
    """Return the inner fold of each training scan ``(n,)``, or None if there are too few subjects."""
    groups = targets.argmax(1) if kind == "classification" else strata(targets, kind)
    least = min(len(np.unique(subjects[groups == group])) for group in np.unique(groups))
    folds = min(folds, least if kind != "regression" else len(np.unique(subjects)))
    if folds < 2 or (kind == "survival" and least < 4):
        return None
    return assign_folds(groups, subjects, folds, seed)


def probe(
    name: str,
    kind: str,
    rows: NDArray[Any],
    targets: NDArray[Any],
    held: NDArray[Any],
    inner: NDArray[np.int64] | None,
) -> NDArray[Any]:
    """Fit the probe *name* on *rows* ``(n, r)`` from :func:`reduce`; return scores ``(m, k)`` of the rows *held*.

    The setting with the smallest loss over the folds *inner* ``(n,)`` is used, or the middle one without folds.

    Targets are as in :class:`umzoo.downstream.evaluate.feature_table.FeatureTable`, but classes are one-hot.
    """
    if name == "knn":
        return _neighbors(kind, rows, targets, held, inner)
    if kind == "regression":
        return _ridge(rows, targets, held, inner)
    return _likelihood(kind, rows, targets, held, inner)


def _likelihood(
    kind: str, rows: NDArray[Any], targets: NDArray[Any], held: NDArray[Any], inner: NDArray[np.int64] | None
) -> NDArray[Any]:
    """Fit logistic or Cox models for all combinations of inner fold and penalty, and on all rows, at once."""
    parts = [] if inner is None else list(np.unique(inner))
    tried = PENALTIES if parts else PENALTIES[len(PENALTIES) // 2 :][:1]
    used = np.stack([np.ones(len(rows)), *(inner != part for part in parts)], axis=1).repeat(len(tried), axis=1)
    coefficients = fit_linear(kind, rows, targets, used, np.tile(tried, 1 + len(parts)))
    known = known_classes(targets, used) if kind == "classification" else np.ones((1, 1), bool)
    losses = np.zeros(len(tried))
    predicted = answers(kind, coefficients, rows, known)
    for number, part in enumerate(parts, start=1):
        for position in range(len(tried)):
            scores = predicted[inner == part, number * len(tried) + position]
            losses[position] += _loss(scores, targets[inner == part], kind)
    best = int(losses.argmin())
    return np.asarray(answers(kind, coefficients[:, best : best + 1], held, known[best : best + 1])[:, 0])


def _ridge(
    rows: NDArray[Any], targets: NDArray[Any], held: NDArray[Any], inner: NDArray[np.int64] | None
) -> NDArray[Any]:
    """Ridge regression; predictions for inner folds follow from the hat matrix without refitting."""
    mean = targets.mean(axis=0)
    spread = np.where(targets.std(axis=0) > 0, targets.std(axis=0), 1.0)
    wanted = (targets - mean) / spread
    left, singular, right = np.linalg.svd(rows, full_matrices=False)
    losses, masks = [], [] if inner is None else [inner == part for part in np.unique(inner)]
    for penalty in PENALTIES if masks else ():
        hat = (left * (singular**2 / (singular**2 + penalty * len(rows)))) @ left.T + 1 / len(rows)
        losses.append(float(np.sum([_left_out(hat, wanted, mask) for mask in masks])))
    penalty = PENALTIES[int(np.argmin(losses)) if losses else len(PENALTIES) // 2]
    shrunk = singular / (singular**2 + penalty * len(rows))
    return np.asarray(mean + spread * (held @ (right.T * shrunk) @ (left.T @ wanted)))


def _left_out(hat: NDArray[Any], targets: NDArray[Any], part: NDArray[Any]) -> float:
    """Return the squared error on the rows *part* of the model fitted without them."""
    residual = (targets - hat @ targets)[part]
    return float((np.linalg.solve(np.eye(int(part.sum())) - hat[np.ix_(part, part)], residual) ** 2).sum())


def _neighbors(
    kind: str, rows: NDArray[Any], targets: NDArray[Any], held: NDArray[Any], inner: NDArray[np.int64] | None
) -> NDArray[Any]:
    """Return the distance-weighted mean target of the nearest rows."""
    from scipy.spatial.distance import cdist

    count = NEIGHBORS[len(NEIGHBORS) // 2]
    if inner is not None:
        apart = np.where(inner[:, None] == inner[None], np.inf, cdist(rows, rows))
        losses = [_loss(nearest(apart, targets, k), targets, kind) for k in NEIGHBORS]
        count = NEIGHBORS[int(np.argmin(losses))]
    return nearest(cdist(held, rows), targets, count)


def nearest(distances: NDArray[Any], targets: NDArray[Any], count: int) -> NDArray[Any]:
    """Mean of the *targets* ``(n, k)`` of the *count* nearest, weighted by one over their distance ``(m, n)``."""
    chosen = np.argsort(distances, axis=1, kind="stable")[:, :count]
    shares = 1 / np.take_along_axis(distances, chosen, axis=1).clip(1e-9)
    return np.asarray((shares[..., None] * targets[chosen]).sum(axis=1) / shares.sum(axis=1, keepdims=True))


def _loss(scores: NDArray[Any], targets: NDArray[Any], kind: str) -> float:
    """Return the sum of squared errors of numbers, log losses of probabilities, or discordance of risks."""
    if kind == "regression":
        return float((((scores - targets) / targets.std(axis=0).clip(1e-12)) ** 2).sum())
    if kind == "survival":
        from umzoo.downstream.evaluate.metrics import c_index

        value = float(c_index(targets, scores[None], np.ones((1, len(targets))))[0])
        return 0.0 if np.isnan(value) else (1 - value) * len(targets)
    wanted = np.where(targets > 0, scores, 1 - scores if kind == "multilabel" else 1)
    return float(-np.log(wanted.clip(1e-3)).sum())
