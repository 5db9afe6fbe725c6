"""Metrics of out-of-fold scores under weights of the scans, for many weights at once.

Scores have shape ``(S, n, k)``: seeds, scans, outputs. Weights have shape ``(B, n)``; a metric returns ``(B,)``, the
mean over seeds. Ones give the metric itself, counts of drawn subjects give the bootstrap. What is undefined is NaN.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.errors import DataError

Metric = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]


def comparable(targets: NDArray[Any], kind: str) -> list[NDArray[Any]]:
    """Return, per output, which pairs of scans are ordered by truth: ``(n, n)``, 1 where the first should score higher.

    Classification and multilabel give AUROC, one class against the rest; survival gives Harrell's C-index.
    """
    if kind == "survival":
        time, event = targets[:, 0], targets[:, 1] > 0
        return [(event[:, None] & (time[:, None] < time[None])).astype(np.float64)]
    truth = targets[:, None] == np.arange(targets.max() + 1) if kind == "classification" else targets > 0
    return [np.outer(column, ~column).astype(np.float64) for column in truth.T]


def order(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Return ``(n, n)``: in how many of the seeds *first* ``(S, n)`` is above *second*, a tie counts half."""
    above = first[:, :, None] > second[:, None, :]
    return np.asarray((above + 0.5 * (first[:, :, None] == second[:, None, :])).mean(axis=0))


def concordance(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any], kind: str) -> NDArray[Any]:
    """Share of ordered pairs that the scores order alike, mean over outputs."""
    values = []
    for column, pairs in enumerate(comparable(targets, kind)):
        kernel = order(scores[..., column], scores[..., column]) * pairs
        values.append(ratio(((weights @ kernel) * weights).sum(1), ((weights @ pairs) * weights).sum(1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a drawing without any pair
        return np.nanmean(values, axis=0) if len(values) > 1 else values[0]


def auroc(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Area under the ROC curve; with several classes the mean of one against the rest."""
    return concordance(targets, scores, weights, "classification" if targets.ndim == 1 else "multilabel")


def c_index(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Harrell's C-index of a risk."""
    return concordance(targets, scores, weights, "survival")


def balanced_accuracy(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Mean of the classes' recalls; of labels, mean of both recalls of each at 0.5."""
    if targets.ndim == 1:
        hits = (scores.argmax(-1) == targets).mean(axis=0)
        return _mean_recall(targets, hits, weights)
    columns = [(c, ((scores[..., c] > 0.5) == (targets[:, c] > 0)).mean(axis=0)) for c in range(targets.shape[1])]
    return np.asarray(np.mean([_mean_recall(targets[:, c], hits, weights) for c, hits in columns], axis=0))


def r2(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Explained share of the variance, mean over outputs; below 0 is worse than the mean of the scans."""
    error = ((scores - targets) ** 2).mean(axis=0)
    total = weights.sum(1, keepdims=True)
    mean = weights @ targets / total
    variance = weights @ targets**2 / total - mean**2
    return np.asarray((1 - ratio(weights @ error / total, variance)).mean(axis=1))


def mae(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Mean absolute error, mean over outputs."""
    return np.asarray((weights @ np.abs(scores - targets).mean(axis=(0, 2))) / weights.sum(1))


def spearman(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Rank correlation, mean over outputs; ranks are those of all scans also in the bootstrap."""
    from scipy.stats import rankdata

    truth = rankdata(targets, axis=0)
    return np.asarray(np.mean([_correlation(truth, rankdata(one, axis=0), weights) for one in scores], axis=0))


def dice(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Mean over scans of the first of their *scores*, the mean Dice of the classes."""
    return np.asarray((weights @ scores.mean(axis=0)[:, 0]) / weights.sum(1))


def _correlation(first: NDArray[Any], second: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    share = weights / weights.sum(1, keepdims=True)
    a, b = share @ first, share @ second
    covariance = share @ (first * second) - a * b
    spread = np.sqrt((share @ first**2 - a**2).clip(0) * (share @ second**2 - b**2).clip(0))
    return np.asarray(ratio(covariance, spread).mean(axis=1))


def _mean_recall(truth: NDArray[Any], hits: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    recalls = [ratio(weights @ (hits * (truth == c)), weights @ (truth == c)) for c in np.unique(truth)]
    return np.asarray(np.nanmean(recalls, axis=0))


def ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[Any]:
    """*above* / *below*, NaN where *below* is 0."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 1e-12))


METRICS: dict[str, dict[str, Metric]] = {
    "classification": {"auroc": auroc, "balanced_accuracy": balanced_accuracy},
    "multilabel": {"auroc": auroc, "balanced_accuracy": balanced_accuracy},
    "regression": {"r2": r2, "mae": mae, "spearman": spearman},
    "survival": {"c_index": c_index},
    "segmentation": {"dice": dice},
}
"""Kind to its metrics; the first is the one that references are compared by."""


def primary(kind: str) -> str:
    """Name of the metric that decides.

    Raises:
        DataError: if *kind* is none that can be probed.
    """
    if kind not in METRICS:
        raise DataError(f"cannot evaluate a task of kind '{kind}': expected {', '.join(METRICS)}")
    return next(iter(METRICS[kind]))
