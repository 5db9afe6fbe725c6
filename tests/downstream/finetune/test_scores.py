"""Scores and their intervals against well-known implementations."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from umzoo.downstream.finetune.losses import cox_loss
from umzoo.downstream.finetune.scores import intervals, metrics_of

RNG = np.random.default_rng(0)


def of_kind(kind, *classes):
    return SimpleNamespace(kind=kind, classes=classes)


def two_classes(n=60, seed=0):
    truth = np.arange(n) % 2
    score = np.round(1 / (1 + np.exp(-np.random.default_rng(seed).normal(truth, 1))), 1)
    rows = []
    for i, (t, p) in enumerate(zip(truth, score, strict=True)):
        answer = {"truth": "ab"[t], "predicted": "ab"[int(p > 0.5)], "p.a": 1 - p, "p.b": p}
        rows.append({"case": f"c{i}", "subject": f"s{i // 2}", **answer})
    return rows


def test_auroc_with_ties_and_balanced_accuracy_are_those_of_scikit_learn():
    rows = two_classes()
    found = metrics_of(of_kind("classification", "a", "b"), rows)
    truth = [row["truth"] == "b" for row in rows]
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, [row["p.b"] for row in rows]))
    assert found["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score([row["truth"] for row in rows], [row["predicted"] for row in rows])
    )


def test_concordance_is_that_of_scikit_survival():
    concordance_index_censored = pytest.importorskip("sksurv.metrics").concordance_index_censored
    time, risk, event = RNG.permutation(30) + 1.0, RNG.normal(size=30).round(1), RNG.random(30) < 0.6
    rows = [
        dict(case="", subject="", time=t, event=float(e), risk=r) for t, e, r in zip(time, event, risk, strict=True)
    ]
    expected = concordance_index_censored(event, time, risk)[0]
    assert metrics_of(of_kind("survival"), rows)["concordance"] == pytest.approx(expected)


def test_cox_loss_is_that_of_scikit_survival():
    coxph = pytest.importorskip("sksurv.linear_model.coxph")
    time, event, x = RNG.integers(1, 6, 20).astype(float), RNG.random(20) < 0.7, RNG.normal(size=(20, 1))
    optimizer = coxph.CoxPHOptimizer(x, event, time, alpha=np.zeros(1), ties="breslow")
    expected = optimizer.nlog_likelihood(np.array([0.8])) * len(time) / event.sum()
    loss = cox_loss(*(torch.tensor(v) for v in (0.8 * x[:, 0], time, event.astype(float))))
    assert loss.item() == pytest.approx(expected)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """20 tables of 60 scans of 30 persons; AUROC of the truth by 20,000 scans."""
    task = of_kind("classification", "a", "b")
    truth = metrics_of(task, two_classes(20_000))["auroc"]
    inside = 0
    for seed in range(20):
        low, high = intervals(task, two_classes(seed=seed), seed)["auroc"]
        inside += low <= truth <= high
    assert inside >= 16


def test_one_person_has_no_interval():
    rows = [{**row, "subject": "one"} for row in two_classes()]
    assert intervals(of_kind("classification", "a", "b"), rows, 0) == {}
