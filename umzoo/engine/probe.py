"""Linear probe of labels in frozen features; for the modality, a low accuracy means invariance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


def linear_probe(features: Tensor, labels: Tensor, groups: Tensor, repeats: int = 5, seed: int = 0) -> float:
    """Return the balanced accuracy of logistic regression, trained and tested on different groups.

    Args:
        features: ``(N, C)``.
        labels: int64 ``(N,)``; -1 is ignored.
        groups: int64 ``(N,)``; a group (subject) is never in both training and test set.
        repeats: number of random splits into halves, over which the accuracy is averaged.
        seed: seed of the splits.

    Returns:
        Mean recall over classes; NaN if a class has fewer than two groups, or a feature is not finite.
    """
    known = labels >= 0
    features, labels, groups = features[known].double(), labels[known], groups[known]
    classes = labels.unique()
    per_class = [groups[labels == label].unique() for label in classes]
    if len(classes) < 2 or min(map(len, per_class)) < 2 or not features.isfinite().all():
        return float("nan")
    scores = []
    for repeat in range(repeats):
        rng = np.random.default_rng((seed, repeat))
        halves = [torch.from_numpy(rng.permutation(found.numpy())[: len(found) // 2]) for found in per_class]
        train = torch.isin(groups, torch.cat(halves))
        scores.append(_score(features, labels, train, classes))
    return float(np.mean(scores))


def _score(features: Tensor, labels: Tensor, train: Tensor, classes: Tensor) -> float:
    mean, std = features[train].mean(0), features[train].std(0).clamp_min(1e-6)
    inputs, targets = (features - mean) / std, torch.searchsorted(classes, labels)
    answers = _fit(inputs[train], targets[train], len(classes))(inputs[~train]).argmax(1)
    right = (answers == targets[~train]).float()
    present = targets[~train].unique()
    return float(torch.stack([right[targets[~train] == label].mean() for label in present]).mean())


def _fit(inputs: Tensor, targets: Tensor, n_classes: int, penalty: float = 1e-2) -> nn.Linear:
    """Fit class-balanced logistic regression with an L2 *penalty* by L-BFGS, initialized with zeros."""
    model = nn.Linear(inputs.shape[1], n_classes, dtype=inputs.dtype)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    balance = 1 / torch.bincount(targets, minlength=n_classes).clamp_min(1).double()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), targets, weight=balance)
        loss = loss + penalty * model.weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return model
