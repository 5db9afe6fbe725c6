"""Checks of training steps for non-finite losses and for parameters without gradient."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from umzoo.engine.checkpoint import latest_checkpoint
from umzoo.errors import ComponentError, UmzooError
from umzoo.pretext.model import Output

log = logging.getLogger(__name__)

STEPS = 10
"""Steps within which a parameter must get its first gradient; tasks may train their parts in turn."""
NAMED = 4
"""Maximum number of parameters named in a warning."""


def poisoned(loss: Tensor) -> Tensor:
    """Return *loss* ``()`` with a non-finite gradient if *loss* is not finite, as some NaN have finite gradients.

    The reduced gradient is then non-finite on all processes, which skip the step together.
    """
    return loss * torch.where(loss.detach().isfinite(), 1.0, torch.nan)


class Untrained:
    """Finds parameters of *model* that get no gradient in the first steps after a start.

    Args:
        model: the trained module.
        steps: maximum number of steps to check: those of the run, or one with DDP, which requires all gradients.
    """

    def __init__(self, model: nn.Module, steps: int) -> None:
        self._waiting = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self._backbone = self._in_backbone()
        self._left = min(STEPS, steps)

    def look(self) -> None:
        """Check the gradients of a step; after the last check, warn of parameters that never had one.

        Raises:
            ComponentError: if the backbone got no gradient at all.
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


class NonFinite:
    """Counts consecutive steps with a non-finite loss or gradient.

    Args:
        patience: number of such steps that stops the run.
        checkpoints: folder of the run's checkpoints; the error message names the last one.
    """

    def __init__(self, patience: int, checkpoints: Path) -> None:
        self.patience, self.checkpoints, self._steps = patience, checkpoints, 0

    def reset(self) -> None:
        """Reset the count after a finite step."""
        self._steps = 0

    def count(self, step: int, output: Output, losses: Sequence[str]) -> None:
        """Count and warn of *step*; *losses* are the names of losses in the parts of *output*.

        Raises:
            UmzooError: if the count reaches the patience.
        """
        self._steps += 1
        culprits = [name for name in losses if not output.parts[name].isfinite()]
        what = f"loss of {', '.join(culprits)}" if culprits else "gradient" if output.loss.isfinite() else "loss"
        log.warning("step %d: the %s is not finite, the step is skipped", step, what)
        if self._steps >= self.patience:
            last = latest_checkpoint(self.checkpoints)
            raise UmzooError(
                f"the {what} was not finite for {self._steps} steps in a row, up to step {step}:"
                f" lower optim.lr or use trainer.precision='bf16'; last checkpoint: {last.name if last else 'none'}"
            )
