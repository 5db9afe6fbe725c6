"""The methods that a training must implement, and those that it may."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from umzoo.engine.recipe import OptimConfig, TrainerConfig
from umzoo.fields import Fields, Rng

log = logging.getLogger(__name__)


class Hooks(ABC):
    """The part of a training that its subclasses fill in; :class:`umzoo.engine.training.Training` calls it."""

    folder: Path
    config: TrainerConfig
    optim: OptimConfig
    seed: int
    shardable: ClassVar[bool] = False
    """Whether ``trainer.shard`` is an option: it looks at ``self.whole`` only, and keeps no best checkpoint."""

    @abstractmethod
    def require_new(self) -> None:
        """Raise ConfigError if a new run would overwrite something; called on the main process, first of all."""

    @abstractmethod
    def begin(self) -> None:
        """Write the folder of a new run; called on the main process, once all is built."""

    @abstractmethod
    def build_model(self) -> nn.Module:
        """Return what is trained; ``model(batch, rng)`` gives an :class:`~umzoo.pretext.model.Output`."""

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Items of a pass, as configured; a resumed training may take fewer."""

    @abstractmethod
    def batches(self, step: int) -> AbstractContextManager[Iterator[Fields]]:
        """Open the endless batches of ``self.share`` from *step* on, each item a pure function of (seed, step, slot).

        An attribute ``wait_seconds`` of the iterator, if there is one, is logged as the share of time spent waiting.
        """

    @abstractmethod
    def prepare_batch(self, raw: Fields, rng: Rng) -> tuple[Fields, Rng]:
        """Take *raw* to the device and make of it what the model reads, by draws from *rng*; return what is left."""

    @abstractmethod
    def evaluate(self, last: bool) -> dict[str, float]:
        """Return metrics to log, as far as any are due at ``self.step``; draw pictures, keep the best checkpoint.

        It is called before the first step and after each, on the main process, and must not touch global random
        state. *last* is True after the last step.
        """

    def looks(self, last: bool) -> bool:
        """Whether :meth:`evaluate` will look at the model now, for which it must be whole."""
        return True

    def network(self, model: nn.Module) -> nn.Module:
        """Return the part of *model* that is compiled, and that the moving average follows; all of it by default."""
        return model

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]] | None:
        """Return groups of parameters for the optimizer, or None for one group with decay and one without.

        A group may have its own ``weight_decay``, and an ``lr_scale``: a factor on the learning rate at every step.
        """
        return None

    def may_leave_out(self) -> bool:
        """Whether some trained parameters may get no gradient in a step, which DDP must know beforehand."""
        return False

    def losses(self) -> Sequence[str]:
        """Names of the parts of an output that are losses, to be named where one is not finite."""
        return ()

    def items(self, raw: Fields) -> int:
        """Return the number of items in a batch."""
        return int(next(iter(raw.values())).shape[0])

    def before_step(self) -> None:  # noqa: B027 - optional
        """Do what comes before step ``self.step``, such as freezing; a function of the step alone."""

    def after_update(self, finite: bool) -> None:  # noqa: B027 - optional
        """Do what comes after an update; where not *finite*, it was skipped."""

    def state(self) -> dict[str, Any]:
        """Return what checkpoints hold beyond the training's own: plain values and tensors, by names of their own."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:  # noqa: B027 - optional
        """Take back what :meth:`state` gave; *state* is the whole checkpoint."""

    def should_stop(self) -> bool:
        """Whether the training is over before its last step; a function of what :meth:`state` holds."""
        return False

    def saves_first(self) -> bool:
        """Whether step 0 gets a checkpoint, as what the run began with may be gone when it is resumed."""
        return False

    def no_checkpoint(self) -> None:
        """Resume a run that has no checkpoint; by default it starts at step 0."""
        log.warning("%s has no checkpoint yet: starting at step 0", self.folder)

    def settings(self) -> dict[str, Any]:
        """Return what the run is configured with, for the trackers."""
        options = {"optim": self.optim, "trainer": self.config}
        return {"seed": self.seed, **{name: config.model_dump(mode="json") for name, config in options.items()}}

    def remedy(self) -> str:
        """Say how to go on with a run that failed."""
        return f"resume the run in {self.folder}, if need be with other options"
