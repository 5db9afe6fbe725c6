"""Pre-training of a network by a recipe on a store."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import nn

from umzoo.backbones.base import Backbone
from umzoo.data.loading.intensity import to_unit
from umzoo.data.loading.loader import Loader
from umzoo.engine.build import build_from_recipe
from umzoo.engine.checkpoint import latest_checkpoint
from umzoo.engine.evaluate import Evaluator
from umzoo.engine.feature_health import decline
from umzoo.engine.initial_weights import Start, start_from, trained_input
from umzoo.engine.log import read_metrics
from umzoo.engine.option_changes import record_changes
from umzoo.engine.run import Run, open_data
from umzoo.engine.task_probe import SCORE, TaskProbe, probe_task
from umzoo.engine.training import Training
from umzoo.errors import ConfigError
from umzoo.fields import Fields, Rng, to_device
from umzoo.plugins import zoo
from umzoo.pretext.model import PretextModel

log = logging.getLogger(__name__)


class Trainer(Training):
    """Pre-trains the network of *run*.

    A resumed run gives the same results as an uninterrupted one, on the CPU bit for bit.

    Args:
        run: the run; its folder must exist (see :meth:`Run.begin`) when ``resume`` is set.
        resume: continue from the newest checkpoint.
        cpu: run on the CPU even if there is a GPU.
        weights: weights folder that initializes matching parameters of a new run; None for random initialization.
        task_probe: probe for ``trainer.probe_task``: ``umzoo.downstream.evaluate.online.online_probe(run)``.

    Raises:
        ConfigError: if the recipe has a ``trainer.probe_task`` but there is no probe, or the network is sharded.
    """

    model: PretextModel
    whole: PretextModel
    shardable = True

    def __init__(
        self,
        run: Run,
        resume: bool = False,
        cpu: bool = False,
        weights: Path | None = None,
        task_probe: TaskProbe | None = None,
    ) -> None:
        self.run, self.recipe, self.weights, self.task_probe = run, run.recipe, weights, task_probe
        if run.recipe.trainer.probe_task and task_probe is None:
            raise ConfigError(
                "the recipe's trainer.probe_task needs a probe: train with 'umzoo pretrain', or give the Trainer"
                " task_probe=umzoo.downstream.evaluate.online.online_probe(run)"
            )
        if run.recipe.trainer.probe_task and run.recipe.trainer.shard:
            raise ConfigError("trainer.probe_task does not support trainer.shard: leave out one of them")
        if run.recipe.trainer.shard and task_probe is not None:
            raise ConfigError("trainer.shard does not support a task_probe: leave out one of them")
        self.store = open_data(run)
        self.start: Start | None = None
        self._declined = False
        self._best_score = float("-inf")
        self.quarantined: dict[str, str] = {}
        recipe = run.recipe
        super().__init__(run.folder, recipe.trainer, recipe.optim, recipe.seed, resume=resume, cpu=cpu)
        if resume and self.is_main:
            record_changes(run, self.step)
        self.evaluator = Evaluator(self.store, recipe.data, recipe.seed, self.device)

    def require_new(self) -> None:
        """Raise ConfigError if the run's folder holds something."""
        self.run.require_empty()

    def begin(self) -> None:
        """Write the folder of the run."""
        self.run.begin(self.store.records.ids, self.start)

    def build_model(self) -> PretextModel:
        """Build the model of the recipe, and load initial weights if there are any."""

        def fill(backbone: Backbone) -> None:
            if self.weights is not None:
                self.start = start_from(self.weights, backbone, trained_input(self.store, self.recipe, backbone))

        return build_from_recipe(zoo(), self.recipe, self.store.modalities, fill, self.store.targets.known)

    def network(self, model: nn.Module) -> nn.Module:
        """Return the backbone."""
        backbone: nn.Module = model.backbone  # type: ignore[assignment]
        return backbone

    def may_leave_out(self) -> bool:
        """Return True without dense tasks: then parameters of levels that only the decoder uses get no gradient."""
        return not any(task.dense for task in self.model.tasks.values())

    def losses(self) -> list[str]:
        """Return the labels of the tasks."""
        return list(self.model.tasks)

    @property
    def batch_size(self) -> int:
        """``data.batch_size`` of the recipe."""
        return self.recipe.data.batch_size

    def batches(self, step: int) -> AbstractContextManager[Loader]:
        """Open the crops of this process, starting at *step*."""
        self.loader = Loader(self.store, self.recipe.data, self.seed, self.share, start_step=step)
        return self.loader

    def prepare_batch(self, raw: Fields, rng: Rng) -> tuple[Fields, Rng]:
        """Move *raw* to the device, scale it to [0, 1], and add ``progress`` and ``step``."""
        batch = to_unit(to_device(raw, self.device), rng.fork(0))
        if self.config.channels_last:
            batch["image"] = batch["image"].contiguous(memory_format=torch.channels_last_3d)
        batch["progress"] = torch.tensor(self.step / self.config.steps, device=self.device)
        batch["step"] = torch.tensor(self.step)
        return batch, rng.fork(1)

    def after_update(self, finite: bool) -> None:
        """Notify the tasks of the optimizer step."""
        if finite:
            self.model.after_step()

    def looks(self, last: bool) -> bool:
        """Return whether a probe or panels are due."""
        return last or 0 in (self.step % self.config.probe_every, self.step % self.config.picture_every)

    def evaluate(self, last: bool) -> dict[str, float]:
        """Draw panels and probe the features if they are due."""
        config, metrics = self.config, {}
        if self.step % config.probe_every == 0 or last:
            metrics = self.evaluator.probe(self.whole, config.probe_volumes, self.step, config.steps)
            self._warn_of_decline(metrics)
            metrics |= self._probe_task()
        if self.step % config.picture_every == 0 or last:
            self.evaluator.panels(self.whole, self.pictures, self.step, config.steps)
        return metrics

    def _probe_task(self) -> dict[str, float]:
        """Evaluate the features on the labeled task, if there is one, and save the best weights after step 0."""
        if self.task_probe is None:
            return {}
        input = trained_input(self.store, self.recipe, self.model.backbone)
        average = self.ema.module if self.ema is not None else None
        found = probe_task(self.task_probe, self.model, average, input, self.recipe.name)
        if self.step and found[SCORE] > self._best_score:
            self._best_score = found[SCORE]
            self.save_best()
        return found

    def _warn_of_decline(self, metrics: dict[str, float]) -> None:
        """Warn once if the features are much less diverse than at the first probe in the log."""
        first = next((line for line in read_metrics(self.log.file) if line.get("health.rank") is not None), None)
        if first is not None and not self._declined and (what := decline(first, metrics)):
            self._declined = True
            log.warning("step %d: %s: look at the weights of the tasks, or lower optim.lr", self.step, what)

    def state(self) -> dict[str, Any]:
        """Return unreadable volumes, modalities and targets of the data, and the best score of the labeled task."""
        return {
            "quarantined": dict(self.quarantined),
            "modalities": list(self.store.modalities),
            "targets": {name: asdict(target) for name, target in self.store.targets.known.items()},
            "best_score": self._best_score,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the unreadable volumes and the best score of the labeled task."""
        self.quarantined.update(state["quarantined"])
        self._best_score = float(state.get("best_score", self._best_score))

    def save(self) -> None:
        """Write a checkpoint, with the volumes that were unreadable in any process."""
        for found in gather_object([self.loader.quarantined]):
            for volume, reason in found.items():
                if volume not in self.quarantined and volume not in self.loader.quarantined:
                    log.warning("quarantined by another process: %s", reason)
            self.quarantined.update(found)
        super().save()

    def saves_first(self) -> bool:
        """Return whether the run has initial weights."""
        return self.start is not None

    def no_checkpoint(self) -> None:
        """Start at step 0, unless the run has initial weights, which are not available any more."""
        if (start := self.run.start) is not None:
            base = start.base.repository or start.base.name
            raise ConfigError(
                f"{self.folder} has no checkpoint yet: start it again with --overwrite and --weights {base}"
            )
        super().no_checkpoint()

    def settings(self) -> dict[str, Any]:
        """Return the recipe."""
        return self.recipe.model_dump(mode="json", by_alias=True)

    def remedy(self) -> str:
        """Return a sentence with the command that continues or restarts the run."""
        if (newest := latest_checkpoint(self.checkpoints)) is None:
            return f"it has no checkpoint yet: start a new run in {self.folder}, if needed with other options"
        command = f"umzoo pretrain --resume {self.folder}"
        return f"continue from {newest.name} with '{command}', if needed with other options, such as optim.lr=1e-4"
