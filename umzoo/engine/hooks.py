"""Required and optional methods of trainings."""

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
    """Methods that subclasses of :class:`umzoo.engine.training.Training` implement, and that it calls."""

    folder: Path
    config: TrainerConfig
    optim: OptimConfig
    seed: int
    shardable: ClassVar[bool] = False
    """Whether ``trainer.shard`` is supported; then :meth:`evaluate` uses only ``self.whole`` and keeps no best one."""

    @abstractmethod
    def require_new(self) -> None:
        """Raise ConfigError if a new run would overwrite something; called first, on the main process."""

    @abstractmethod
    def begin(self) -> None:
        """Write the folder of a new run; called on the main process after the model is built."""

    @abstractmethod
    def build_model(self) -> nn.Module:
        """Return the trained module; ``model(batch, rng)`` returns an :class:`~umzoo.pretext.model.Output`."""

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Configured number of items per pass; a resumed training may use fewer."""

    @abstractmethod
    def batches(self, step: int) -> AbstractContextManager[Iterator[Fields]]:
        """Open the endless batches of ``self.share``, starting at *step*; (seed, step, slot) determine each item.

        If the iterator has an attribute ``wait_seconds``, the fraction of time spent waiting is logged.
        """

    @abstractmethod
    def prepare_batch(self, raw: Fields, rng: Rng) -> tuple[Fields, Rng]:
        """Move *raw* to the device and convert it to the model's input; return it and the generator for the model."""

    @abstractmethod
    def evaluate(self, last: bool) -> dict[str, float]:
        """Return metrics that are due at ``self.step``; draw pictures, and save the best checkpoint.

        It is called on the main process, before the first step and after each step, and must not change the global
        random state. *last* is True after the last step.
        """

    def looks(self, last: bool) -> bool:
        """Return whether :meth:`evaluate` will use the model now, for which a sharded model must be gathered."""
        return True

    def network(self, model: nn.Module) -> nn.Module:
        """Return the part of *model* that is compiled and averaged (EMA); all of it by default."""
        return model

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]] | None:
        """Return parameter groups for the optimizer, or None for one group with weight decay and one without.

        A group may have its own ``weight_decay``, and an ``lr_scale``: a factor on the learning rate at every step.
        """
        return None

    def may_leave_out(self) -> bool:
        """Return whether trained parameters may get no gradient in a step, which DDP must know in advance."""
        return False

    def losses(self) -> Sequence[str]:
        """Return the names of losses in an output's parts, for warnings of non-finite losses."""
        return ()

    def items(self, raw: Fields) -> int:
        """Return the number of items in a batch."""
        return int(next(iter(raw.values())).shape[0])

    def before_step(self) -> None:  # noqa: B027 - optional
        """Called before step ``self.step``, for example to freeze layers; must depend on the step only."""

    def after_update(self, finite: bool) -> None:  # noqa: B027 - optional
        """Called after an update, which was skipped if not *finite*."""

    def state(self) -> dict[str, Any]:
        """Return additional plain values and tensors for checkpoints, with distinct names."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:  # noqa: B027 - optional
        """Restore the values of :meth:`state`; *state* is the whole checkpoint."""

    def should_stop(self) -> bool:
        """Return whether to stop before the last step; must depend on the values of :meth:`state` only."""
        return False

    def saves_first(self) -> bool:
        """Return whether to save a checkpoint at step 0, as initial weights may be missing when the run is resumed."""
        return False

    def no_checkpoint(self) -> None:
        """Called to resume a run without checkpoint; by default it starts at step 0."""
        log.warning("%s has no checkpoint yet: starting at step 0", self.folder)

    def settings(self) -> dict[str, Any]:
        """Return the options of the run, for the trackers."""
        options = {"optim": self.optim, "trainer": self.config}
        return {"seed": self.seed, **{name: config.model_dump(mode="json") for name, config in options.items()}}

    def remedy(self) -> str:
        """Return a sentence on how to continue a failed run."""
        return f"resume the run in {self.folder}, if need be with other options"
