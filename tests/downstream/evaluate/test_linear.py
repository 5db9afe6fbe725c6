"""Many models in one optimization are the models one by one."""

import numpy as np
import pytest

from umzoo.downstream.evaluate.linear import answers, fit_linear, known_classes
from umzoo.downstream.evaluate.probes import inner_folds, probe, reduce


def data(kind, n=60, width=8, classes=3):
    rng = np.random.default_rng(0)
    rows, _ = reduce(rng.normal(size=(n, width)), rng.normal(size=(2, width)))
    signal = rows[:, 0] * 3 + rng.normal(size=n)
    if kind == "classification":
        return rows, np.eye(classes)[np.digitize(signal, (-1, 1))]
    if kind == "multilabel":
        return rows, np.stack([signal > 0, signal > 1], 1).astype(float)
    return rows, np.stack([np.round(np.exp(-signal), 1) + 0.1, rng.random(n) < 0.7], 1).astype(float)


def one_by_one(kind, rows, targets, penalty):
    """What scikit-learn and scikit-survival fit to the same rows."""
    if kind == "survival":
        survival = pytest.importorskip("sksurv.linear_model")
        from sksurv.util import Surv

        model = survival.CoxPHSurvivalAnalysis(alpha=penalty * len(rows), n_iter=200, tol=1e-10)
        return model.fit(rows, Surv.from_arrays(targets[:, 1] > 0, targets[:, 0])).predict(rows)[:, None]
    from sklearn.linear_model import LogisticRegression

    if kind == "multilabel":
        fits = [
            LogisticRegression(C=1 / penalty / len(rows), tol=1e-8, max_iter=5000).fit(rows, it) for it in targets.T
        ]
        return np.stack([it.predict_proba(rows)[:, 1] for it in fits], 1)
    model = LogisticRegression(C=1 / penalty / len(rows), tol=1e-8, max_iter=5000)
    return model.fit(rows, targets.argmax(1)).predict_proba(rows)


@pytest.mark.parametrize("kind", ["classification", "multilabel", "survival"])
def test_all_models_of_one_fit_are_those_of_others(kind):
    rows, targets = data(kind)
    used = np.ones((len(rows), 3))
    used[::3, 1] = 0
    penalties = np.array([0.01, 0.01, 1.0])
    found = answers(kind, fit_linear(kind, rows, targets, used, penalties), rows, known_classes(targets, used))
    for number, penalty in enumerate(penalties):
        part = used[:, number] > 0
        wanted = one_by_one(kind, rows[part], targets[part], penalty)
        said = found[part, number]
        if kind == "survival":
            said, wanted = said - said.mean(), wanted - wanted.mean()
        np.testing.assert_allclose(said, wanted, atol=0.01)


def test_a_class_that_was_not_there_is_not_answered():
    rows, targets = data("classification")
    part = targets[:, 2] == 0
    inner = inner_folds("classification", targets[part], np.arange(part.sum()), 3, 0)
    said = probe("linear", "classification", rows[part], targets[part], rows, inner)
    assert said[:, 2].max() < 1e-6
    np.testing.assert_allclose(said.sum(1), 1)


def test_ridge_leaves_folds_out_without_fitting_again():
    from sklearn.linear_model import Ridge

    from umzoo.downstream.evaluate.probes import _left_out

    rows, _ = data("classification")
    wanted, part, penalty = rows[:, :1] + 1, np.arange(len(rows)) % 4 == 0, 2.0
    hat = rows @ np.linalg.solve(rows.T @ rows + penalty * np.eye(rows.shape[1]), rows.T) + 1 / len(rows)
    model = Ridge(alpha=penalty, fit_intercept=True).fit(rows[~part], wanted[~part])
    error = ((model.predict(rows[part]).reshape(-1, 1) - wanted[part]) ** 2).sum()
    assert _left_out(hat, wanted, part) == pytest.approx(error, rel=1e-6)


def test_features_that_are_all_alike_answer_the_mean():
    targets = np.arange(10.0)[:, None]
    rows, held = reduce(np.full((10, 3), 1e6), np.full((2, 3), 1e6))
    said = probe("linear", "regression", rows, targets, held, inner_folds("regression", targets, np.arange(10), 3, 0))
    np.testing.assert_allclose(said, 4.5)
