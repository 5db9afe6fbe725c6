"""Whether a step trains what it should: losses that are not finite, and parameters that no gradient reaches."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from umzoo.errors import ComponentError

log = logging.getLogger(__name__)

STEPS = 10
"""Steps in which a parameter may wait for its first gradient: tasks may train their parts in turn."""
NAMED = 4
"""Parameters that a warning names."""


def poisoned(loss: Tensor) -> Tensor:
    """Return *loss* ``()``, with a gradient that is not finite where *loss* is not: some NaN have finite gradients.

    Through the reduced gradient all processes learn of it, and skip the step together.
    """
    return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)


class Untrained:
    """Finds the parameters of *model* that get no gradient in the first steps after a start.

    Args:
        model: what is trained.
        steps: steps to look at, at most: those of the run, or the first, where DDP takes no parameter without one.
    """

    def __init__(self, model: nn.Module, steps: int) -> None:
        self._waiting = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self._backbone = self._in_backbone()
        self._left = min(STEPS, steps)

    def look(self) -> None:
        """Look at the gradients of a step; in the end warn of parameters that never had one.

        Raises:
            ComponentError: if no gradient at all has reached the backbone.
        """
        if self._left == 0:
            return
        self._left -= 1
        self._waiting = {name: it for name, it in self._waiting.items() if it.grad is None and it.requires_grad}
        if self._left or not self._waiting:
            return
        if self._backbone and self._in_backbone() == self._backbone:
            raise ComponentError(
                "no gradient reaches the backbone, so nothing is trained: a task must compute its loss from 'features',"
                " and not detach them"
            )
        names = list(self._waiting)
        more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
        log.warning("no gradient reaches %s%s: they are not trained", ", ".join(names[:NAMED]), more)

    def _in_backbone(self) -> int:
        return sum(name.startswith("backbone.") for name in self._waiting)
