"""Cross entropy and metrics of classification; items with label -1 are ignored."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, labels: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean cross entropy of *logits* ``(B, n)`` over items whose label ``(B,)`` is not -1; 0 without such items.

    With *count* ``()``, such as the field ``scale_count``, the average over the passes of a step equals the mean over
    all its labeled items, also if passes have different numbers of them.
    """
    total = functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total / labeled(labels, count)


def labeled(labels: Tensor, count: Tensor | None = None) -> Tensor:
    """Return the divisor of a sum over labeled items: *count* ``()``, or the number of labels >= 0 in ``(B,)``."""
    return (labels >= 0).sum().clamp_min(1) if count is None else count


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return 1 or 0 per item ``(B,)``, NaN if its label is -1, so that means over many batches are exact."""
    right = (logits.detach().argmax(dim=1) == labels).float()
    return torch.where(labels >= 0, right, torch.nan)


def classification_metrics(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return ``accuracy`` ``(B,)`` (see :func:`accuracy`) and ``chance`` ``()``, the accuracy of guessing."""
    return {"accuracy": accuracy(logits, labels), "chance": torch.full((), 1 / logits.shape[1])}
