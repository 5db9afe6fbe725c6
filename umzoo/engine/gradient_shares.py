"""How much each pretext task moves the encoder: a weight in a recipe says little of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from umzoo.fields import Fields, Rng
from umzoo.pretext.model import PretextModel


def gradient_shares(model: PretextModel, batch: Fields, rng: Rng) -> dict[str, float]:
    """Return ``gradient.TASK``, each task's share of the summed norms of the weighted losses' gradients in the encoder.

    Losses are those of evaluation mode. Empty with fewer than two tasks, or where no task moves the encoder.

    Args:
        model: network and tasks; nothing of it is changed.
        batch: a batch, ``image`` in [0, 1].
        rng: draws of views and corruptions.
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
    """Norm of the gradient of *loss* in *parameters*; its graph stays, as other losses may share it."""
    if not loss.requires_grad:
        return loss.new_zeros(())
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    squares = [gradient.float().square().sum() for gradient in found if gradient is not None]
    return torch.stack(squares).sum().sqrt() if squares else loss.new_zeros(())
