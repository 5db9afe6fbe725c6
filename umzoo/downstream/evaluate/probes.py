"""Probes of frozen features: linear models and nearest neighbors, with settings chosen by inner folds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.evaluate.folds import assign_folds, strata
from umzoo.errors import DataError

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties of linear models, for features of which a scan has a mean squared norm of 1."""
NEIGHBORS = (3, 5, 10)
"""Neighbors of kNN."""
PROBES = {"classification": ("linear", "knn"), "multilabel": ("linear", "knn"), "regression": ("linear", "knn")}
"""Kind to its probes; the first decides. Survival has Cox's model alone."""

Fit = Callable[[NDArray[Any], NDArray[Any], NDArray[Any], float], NDArray[Any]]
"""Training rows and targets, rows to score, setting -> scores ``(m, k)``."""


def reduce(train: NDArray[Any], test: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Standardize by *train* ``(n, d)`` and turn both into the at most ``n - 1`` axes that *train* spans.

    Models with a squared penalty, and distances between training rows, are the same there: a rotation alters neither.
    Rows are scaled so that those of *train* have a mean squared norm of 1, whatever d.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    a, b = scaler.transform(train.astype(np.float64)), scaler.transform(test.astype(np.float64))
    if a.shape[1] > a.shape[0]:
        values, vectors = np.linalg.eigh(a @ a.T)
        used = values > max(values.max(), 1e-30) * 1e-10
        axes = a.T @ (vectors[:, used] / np.sqrt(values[used]))
        a, b = a @ axes, b @ axes
    scale = np.sqrt((a**2).sum(1).mean()) or 1.0
    return a / scale, b / scale


def probe(
    name: str,
    kind: str,
    train: NDArray[Any],
    targets: NDArray[Any],
    subjects: NDArray[Any],
    test: NDArray[Any],
    inner: int,
    seed: int,
) -> NDArray[Any]:
    """Fit probe *name* on *train* ``(n, d)``, its setting chosen by *inner* folds, and score *test*: ``(m, k)``.

    Targets are as in :class:`FeatureTable <umzoo.downstream.evaluate.table.FeatureTable>`, but classes are one-hot.
    """
    rows, held = reduce(train, test)
    fit, settings = _model(name, kind)
    setting = _choose(fit, settings, kind, rows, targets, subjects, inner, seed)
    return fit(rows, targets, held, setting)


def _model(name: str, kind: str) -> tuple[Fit, Sequence[float]]:
    if name == "knn":
        return _neighbors, NEIGHBORS
    return {"survival": _cox, "regression": _ridge, "multilabel": _labels, "classification": _logistic}[kind], PENALTIES


def _choose(
    fit: Fit,
    settings: Sequence[float],
    kind: str,
    rows: NDArray[Any],
    targets: NDArray[Any],
    subjects: NDArray[Any],
    inner: int,
    seed: int,
) -> float:
    """The setting of least loss over inner folds; the middle one if there are too few subjects for such folds."""
    groups = targets.argmax(1) if kind == "classification" else strata(targets, kind)
    least = min(len(np.unique(subjects[groups == group])) for group in np.unique(groups))
    folds = min(inner, least if kind != "regression" else len(np.unique(subjects)))
    if folds < 2 or (kind == "survival" and least < 4):
        return settings[len(settings) // 2]
    fold = assign_folds(groups, subjects, folds, seed)
    losses = np.zeros(len(settings))
    for number in range(folds):
        held = fold == number
        for position, setting in enumerate(settings):
            scores = fit(rows[~held], targets[~held], rows[held], setting)
            losses[position] += _loss(scores, targets[held], kind)
    return settings[int(losses.argmin())]


def _loss(scores: NDArray[Any], targets: NDArray[Any], kind: str) -> float:
    """Summed squared error of numbers, log loss of probabilities, discordance of risks."""
    if kind == "regression":
        return float(((scores - targets) ** 2).sum())
    if kind == "survival":
        from umzoo.downstream.evaluate.metrics import c_index

        value = float(c_index(targets, scores[None], np.ones((1, len(targets))))[0])
        return 0.0 if np.isnan(value) else (1 - value) * len(targets)
    wanted = np.where(targets > 0, scores, 1 - scores if kind == "multilabel" else 1)
    return float(-np.log(wanted.clip(1e-3)).sum())


def _ridge(rows: NDArray[Any], targets: NDArray[Any], held: NDArray[Any], penalty: float) -> NDArray[Any]:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=penalty * len(rows)).fit(rows, targets)
    return np.asarray(model.predict(held).reshape(len(held), -1))


def _logistic(rows: NDArray[Any], targets: NDArray[Any], held: NDArray[Any], penalty: float) -> NDArray[Any]:
    """Multinomial logistic regression; classes that are not there to learn from get 0."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classes = targets.argmax(1)
    scores = np.zeros((len(held), targets.shape[1]))
    present = np.unique(classes)
    if len(present) == 1:
        scores[:, present] = 1
        return scores
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=1 / (penalty * len(rows)), max_iter=200, tol=1e-3).fit(rows, classes)
    scores[:, present] = model.predict_proba(held)
    return scores


def _labels(rows: NDArray[Any], targets: NDArray[Any], held: NDArray[Any], penalty: float) -> NDArray[Any]:
    """One logistic regression a label."""
    pairs = [np.stack([1 - column, column], axis=1) for column in targets.T]
    return np.stack([_logistic(rows, pair, held, penalty)[:, 1] for pair in pairs], axis=1)


def _cox(rows: NDArray[Any], targets: NDArray[Any], held: NDArray[Any], penalty: float) -> NDArray[Any]:
    """Cox's proportional hazards with a squared penalty (Cox, JRSS B 1972); no event to learn from gives 0."""
    try:
        from sksurv.linear_model import CoxPHSurvivalAnalysis
        from sksurv.util import Surv
    except ImportError:
        raise DataError("evaluating survival needs scikit-survival: pip install scikit-survival") from None
    if not targets[:, 1].any():
        return np.zeros((len(held), 1))
    answers = Surv.from_arrays(targets[:, 1] > 0, targets[:, 0])
    model = CoxPHSurvivalAnalysis(alpha=penalty * len(rows), n_iter=50)
    return np.asarray(model.fit(rows, answers).predict(held).reshape(-1, 1))


def _neighbors(rows: NDArray[Any], targets: NDArray[Any], held: NDArray[Any], neighbors: float) -> NDArray[Any]:
    """Mean target of the nearest rows, closer ones counting more."""
    from sklearn.neighbors import KNeighborsRegressor

    model = KNeighborsRegressor(min(int(neighbors), len(rows)), weights="distance").fit(rows, targets)
    return np.asarray(model.predict(held).reshape(len(held), -1))
