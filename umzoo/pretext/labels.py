"""Cross entropy and what to log of a classification, over items of which some, labeled -1, are not asked."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, labels: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean cross entropy of *logits* ``(B, n)`` over the items whose label ``(B,)`` is not -1; 0 if there is none.

    With *count* ``()``, such as the field ``scale_count``, the mean over all passes of a step is that over its labeled
    items, however they fall on the passes.
    """
    total = functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total / labeled(labels, count)


def labeled(labels: Tensor, count: Tensor | None = None) -> Tensor:
    """Return what a sum over the items labeled in *labels* ``(B,)`` is divided by: *count* ``()``, or their number."""
    return (labels >= 0).sum().clamp_min(1) if count is None else count


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Per-item 1 or 0 ``(B,)``, NaN where the label is -1, so that a mean over many batches stays exact."""
    right = (logits.detach().argmax(dim=1) == labels).float()
    return torch.where(labels >= 0, right, torch.nan)


def classification_metrics(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return ``accuracy`` ``(B,)`` (see :func:`accuracy`) and ``chance`` ``()``, what guessing gives."""
    return {"accuracy": accuracy(logits, labels), "chance": torch.full((), 1 / logits.shape[1])}
