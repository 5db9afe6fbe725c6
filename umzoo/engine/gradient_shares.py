"""Contribution of each pretext task to the encoder's gradient, which weights in a recipe hardly show."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from umzoo.fields import Fields, Rng
from umzoo.pretext.model import PretextModel


def gradient_shares(model: PretextModel, batch: Fields, rng: Rng) -> dict[str, float]:
    """Return ``gradient.TASK``: the norm of a task's weighted gradient in the encoder, relative to the sum of norms.

    Losses are computed in eval mode. The result is empty with fewer than two tasks, or without any gradient.

    Args:
        model: network and tasks; it is not changed.
        batch: a batch with ``image`` in [0, 1].
        rng: random numbers for views and corruptions.
    """
    if len(model.tasks) < 2:
        return {}
    encoder = [value for name, value in model.backbone.named_parameters() if name.startswith("encoder.")]
    encoder = [value for value in encoder if value.requires_grad]
    was_training, norms = model.training, dict[str, Tensor]()
    model.eval()
    try:
        with torch.enable_grad():
            for made in model.passes(batch, rng):
                for label in made.labels:
                    loss = model.weights[label] * model.task_loss(label, made.features, made.view)
                    norms[label] = _norm(loss, encoder)
    finally:
        model.train(was_training)
    total = float(sum(norms.values()))
    return {f"gradient.{label}": float(norm) / total for label, norm in norms.items()} if total > 0 else {}


def _norm(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Return the norm of the gradient of *loss* in *parameters*; keeps the graph, which other losses may share."""
    if not loss.requires_grad:
        return loss.new_zeros(())
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    squares = [gradient.float().square().sum() for gradient in found if gradient is not None]
    return torch.stack(squares).sum().sqrt() if squares else loss.new_zeros(())
