"""Metrics of out-of-fold scores with weighted scans, vectorized over sets of weights.

Scores have shape ``(S, n, k)``: seeds, scans, outputs. Weights have shape ``(B, n)``; a metric returns ``(B,)``, the
mean over seeds. Weights of one give the metric itself; counts of resampled subjects give the bootstrap. Undefined
metrics are NaN.
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
    """Return, per output, the comparable pairs of scans: ``(n, n)``, 1 if the first should score higher.

    They define AUROC (one class against the rest) for classification and multilabel, Harrell's C-index for survival.
    """
    if kind == "survival":
        time, event = targets[:, 0], targets[:, 1] > 0
        return [(event[:, None] & (time[:, None] < time[None])).astype(np.float64)]
    truth = targets[:, None] == np.arange(targets.max() + 1) if kind == "classification" else targets > 0
    return [np.outer(column, ~column).astype(np.float64) for column in truth.T]


def order(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Return ``(n, n)``: the fraction of seeds in which *first* ``(S, n)`` is above *second*; a tie counts half."""
    above = first[:, :, None] > second[:, None, :]
    return np.asarray((above + 0.5 * (first[:, :, None] == second[:, None, :])).mean(axis=0))


def concordance(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any], kind: str) -> NDArray[Any]:
    """Fraction of comparable pairs that the scores order correctly, mean over outputs."""
    values = []
    for column, pairs in enumerate(comparable(targets, kind)):
        kernel = order(scores[..., column], scores[..., column]) * pairs
        values.append(ratio(((weights @ kernel) * weights).sum(1), ((weights @ pairs) * weights).sum(1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a bootstrap sample without any pair
        return np.nanmean(values, axis=0) if len(values) > 1 else values[0]


def auroc(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Area under the ROC curve; with several classes, the mean over one-against-rest curves."""
    return concordance(targets, scores, weights, "classification" if targets.ndim == 1 else "multilabel")


def c_index(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Harrell's C-index of a risk."""
    return concordance(targets, scores, weights, "survival")


def balanced_accuracy(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Mean recall over classes; for multilabel, mean of sensitivity and specificity at 0.5 over labels."""
    if targets.ndim == 1:
        hits = (scores.argmax(-1) == targets).mean(axis=0)
        return _mean_recall(targets, hits, weights)
    columns = [(c, ((scores[..., c] > 0.5) == (targets[:, c] > 0)).mean(axis=0)) for c in range(targets.shape[1])]
    return np.asarray(np.mean([_mean_recall(targets[:, c], hits, weights) for c, hits in columns], axis=0))


def r2(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Coefficient of determination, mean over outputs; below 0 is worse than predicting the mean of the scans."""
    error = ((scores - targets) ** 2).mean(axis=0)
    total = weights.sum(1, keepdims=True)
    mean = weights @ targets / total
    variance = weights @ targets**2 / total - mean**2
    return np.asarray((1 - ratio(weights @ error / total, variance)).mean(axis=1))


def mae(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Mean absolute error, mean over outputs."""
    return np.asarray((weights @ np.abs(scores - targets).mean(axis=(0, 2))) / weights.sum(1))


def spearman(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Spearman's rank correlation, mean over outputs; the bootstrap keeps the ranks among all scans."""
    from scipy.stats import rankdata

    truth = rankdata(targets, axis=0)
    return np.asarray(np.mean([_correlation(truth, rankdata(one, axis=0), weights) for one in scores], axis=0))


def dice(targets: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Mean over scans of the first column of *scores*, the mean Dice over classes."""
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
    """Return *above* / *below*, NaN where *below* is 0."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 1e-12))


METRICS: dict[str, dict[str, Metric]] = {
    "classification": {"auroc": auroc, "balanced_accuracy": balanced_accuracy},
    "multilabel": {"auroc": auroc, "balanced_accuracy": balanced_accuracy},
    "regression": {"r2": r2, "mae": mae, "spearman": spearman},
    "survival": {"c_index": c_index},
    "segmentation": {"dice": dice},
}
"""Kind of task to its metrics; the first is the primary metric, by which references are compared."""


def primary(kind: str) -> str:
    """Return the name of the primary metric.

    Raises:
        DataError: if *kind* cannot be evaluated.
    """
    if kind not in METRICS:
        raise DataError(f"cannot evaluate a task of kind '{kind}': expected {', '.join(METRICS)}")
    return next(iter(METRICS[kind]))
