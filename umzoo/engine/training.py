"""Base class of all trainings: the loop, precision, checkpoints and logs.

Accelerate handles devices and processes; timm provides optimizer, schedule and moving average.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object, set_seed
from torch import nn

from umzoo.data.loading.batch_share import Share
from umzoo.engine.blocks import blocks, checkpoint_activations
from umzoo.engine.checkpoint import (
    best_checkpoint,
    fitting,
    latest_checkpoint,
    load_checkpoint,
    save_best,
    save_checkpoint,
)
from umzoo.engine.device import build_accelerator, seed_pass
from umzoo.engine.energy import EnergyMeter, total
from umzoo.engine.failure import Failure
from umzoo.engine.hooks import Hooks
from umzoo.engine.lock import RunLock
from umzoo.engine.log import RunLog, read_metrics
from umzoo.engine.meter import Meter
from umzoo.engine.optim import build_optimizer, build_schedule, load_optimizer
from umzoo.engine.pictures import save_curves
from umzoo.engine.recipe import OptimConfig, TrainerConfig
from umzoo.engine.sharding import Replica, gathered, scattered, scattered_optimizer, shard
from umzoo.engine.signals import StopRequest
from umzoo.engine.step_checks import NonFinite, Untrained, poisoned
from umzoo.engine.trackers import Trackers
from umzoo.errors import ConfigError
from umzoo.fields import Fields, Rng
from umzoo.pretext.model import Output

log = logging.getLogger(__name__)


class Training(Hooks):
    """Trains the model of a subclass, in the run's *folder*.

    All randomness must be determined by (seed, step, slot), where slots number the items of a step over all processes
    and passes; checkpoints hold the rest of the state. So a resumed training gives the same results as an uninterrupted
    one, on the CPU bit for bit. With another number of processes, the items of a step are the same and distributed
    anew. A subclass must set the attributes of its hooks before it calls this constructor, which calls
    ``require_new``, ``build_model`` and ``begin``.

    Args:
        folder: the run's folder.
        config: length, precision, and intervals of outputs.
        optim: optimizer and schedule.
        seed: seed of all randomness.
        resume: continue from the newest checkpoint.
        cpu: run on the CPU even if there is a GPU.

    Attributes:
        model: the module of :meth:`build_model`, on the device.
        ema: timm's moving average of :meth:`network`, or None.
        step: number of finished optimizer steps.
        samples: number of items used so far, over all processes.
        share: part of each step that this process computes.
        log: the run's log, while :meth:`fit` runs.
        whole: the model to evaluate, while :meth:`evaluate` runs; a full copy if the model is sharded.
    """

    whole: nn.Module

    def __init__(
        self,
        folder: Path,
        config: TrainerConfig,
        optim: OptimConfig,
        seed: int,
        *,
        resume: bool = False,
        cpu: bool = False,
    ) -> None:
        self.folder, self.config, self.optim, self.seed = folder, config, optim, seed
        self.accelerator = build_accelerator(config, cpu, folder)
        self.step, self.samples, self.seconds = 0, 0, 0.0
        self.share = Share(self.batch_size, config.accumulate, *self._process)
        self._joules: float | None = None
        self._energy_before: float | None = None
        self._energy = EnergyMeter(self.device)
        self._nonfinite = NonFinite(config.nan_patience, self.checkpoints)
        self._lock = RunLock(folder, self.is_main)
        if resume:
            self._lock.acquire()
        elif self.is_main:
            self.require_new()
        self._build()
        if resume:
            self._resume()
        elif self.is_main:
            self._lock.acquire()
            self.begin()
        self.accelerator.wait_for_everyone()

    @property
    def device(self) -> torch.device:
        """Device of the training."""
        return self.accelerator.device  # type: ignore[no-any-return]

    @property
    def _process(self) -> tuple[int, int]:
        """Index of this process, and number of processes."""
        return self.accelerator.process_index, self.accelerator.num_processes

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and evaluates."""
        return bool(self.accelerator.is_main_process)

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def pictures(self) -> Path:
        """Folder of the pictures."""
        return self.folder / "pictures"

    # -- building -----------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Build model, optimizer, schedule and moving average."""
        config = self.config
        if config.shard and not self.shardable:
            raise ConfigError("trainer.shard is only supported in pre-training: leave it out")
        self.model = self.build_model().to(self.device)
        set_seed(self.seed, device_specific=True)
        if config.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.ema = self._build_ema()
        if config.activation_checkpointing:
            checkpoint_activations(self.network(self.model))
        if self.sharded:
            self._shard()
        elif config.compile:
            self.network(self.model).compile()
        optimizer = build_optimizer(self.optim, self.model, self.parameter_groups(self.model))
        self.schedule = build_schedule(self.optim, optimizer, config.steps)
        self.accelerator.ddp_handler.find_unused_parameters = self.may_leave_out()
        self.wrapped = self.accelerator.prepare_model(self.model, evaluation_mode=self.sharded)
        self.optimizer = self.accelerator.prepare_optimizer(optimizer)
        self._untrained = Untrained(self.model, config.steps if self.accelerator.num_processes == 1 else 1)

    def _build_ema(self) -> Any:
        if not self.config.ema:
            return None
        from timm.utils import ModelEmaV3

        return ModelEmaV3(self.network(self.model), decay=self.config.ema, foreach=not self.sharded)

    @property
    def sharded(self) -> bool:
        """Whether the parameters are sharded over several processes."""
        return self.config.shard and self.accelerator.num_processes > 1

    def _shard(self) -> None:
        """Shard model and moving average; blocks are compiled one by one."""
        if self.accelerator.scaler is not None:
            raise ConfigError("trainer.shard does not support trainer.precision 'fp16': use 'bf16'")
        if self.is_main:
            self._replica = Replica(self.model)
        if self.config.compile:
            for block in blocks(self.network(self.model)):
                block.compile()
        shard(self.model, self.network(self.model), self.device)
        if self.ema is not None:
            shard(self.ema.module, self.ema.module, self.device)

    # -- the loop -----------------------------------------------------------------------------------------------

    def fit(self) -> int | None:
        """Train to the end; return the signal if one stopped the training, else None.

        Raises:
            UmzooError: if the loss stays non-finite, the data runs out or a checkpoint cannot be written.
        """
        config, stopping = self.config, None
        trackers = Trackers(self.accelerator, self.folder.resolve().name, self.settings())
        record = RunLog(self.folder, config.steps, self.step, self.is_main, trackers.write)
        failure = Failure(self.folder, self.is_main, lambda: self.step, self.remedy)
        data = self.batches(self.step)
        stopped = StopRequest(launched=self.accelerator.num_processes > 1)
        with self._lock, failure, stopped as stop, trackers, record as self.log, data as self._batches:
            self._waited, self._meter = 0.0, Meter()
            if self.step == 0:
                if self.saves_first():
                    self.save()
                self._evaluate()
            while stopping is None and not self._over():
                self._train_step(self._batches)
                self._report()
                if self.step % config.checkpoint_every == 0:
                    self.save()
                stopping = self._agree(stop.signum)
            if self.step % config.checkpoint_every or self.step == 0:
                self.save()
        return stopping

    def _over(self) -> bool:
        return self.step >= self.config.steps or bool(self._greatest(int(self.should_stop())))

    def _train_step(self, batches: Iterator[Fields]) -> None:
        """Run one optimizer step: ``accumulate`` batches forward and backward, then the update."""
        began = time.perf_counter()
        self.before_step()
        for part in range(self.share.passes):
            raw = next(batches)
            items = self.items(raw)
            batch, rng = self.prepare_batch(raw, self._draws(part))
            with self.accelerator.accumulate(self.wrapped):
                output = self.wrapped(batch, rng)
                self.accelerator.backward(poisoned(output.loss))
                if self.accelerator.sync_gradients:
                    self._update(output)
            self._meter.add({"loss": output.loss, **output.parts}, items)
            self.samples += items * self.accelerator.num_processes
        self.step += 1
        self.schedule.step_update(self.step)
        self.seconds += time.perf_counter() - began

    def _draws(self, part: int) -> Rng:
        """Return the generator of pass *part* of this step, and set the global random state for it."""
        _, slots = self.share.place(self.step * self.share.passes + part)
        seed_pass(self.seed, self.step, slots.start)
        return Rng(self.seed, self.step, device=self.device, items=slots)

    def _update(self, output: Output) -> None:
        """Clip gradients and step, or skip the step if loss or gradient are not finite."""
        norm = self.accelerator.clip_grad_norm_(self.wrapped.parameters(), self.optim.clip or math.inf)
        finite = bool(torch.isfinite(gathered(norm)))
        if finite or self.accelerator.scaler is not None:  # the scaler skips non-finite steps itself, and must see them
            self.optimizer.step()
        self._untrained.look()
        self.optimizer.zero_grad()
        scaler = self.accelerator.scaler
        if finite or (scaler is not None and scaler.get_scale() > 1):
            self._nonfinite.reset()
        else:
            self._nonfinite.count(self.step + 1, output, self.losses())
        self.after_update(finite)
        if finite and self.ema is not None:
            self.ema.update(self.network(self.model), step=self.step)

    # -- what is written ----------------------------------------------------------------------------------------

    def _report(self) -> None:
        """Log and evaluate if it is due."""
        last = self.step == self.config.steps
        if self.step % self.config.log_every == 0 or last:
            total = getattr(self._batches, "wait_seconds", 0.0)
            waited, self._waited = total - self._waited, total
            metrics = self._meter.flush(waited, lambda mine: gather_object([mine]))
            metrics["lr"] = max(group["lr"] for group in self.optimizer.param_groups)
            self.log.write(self.step, metrics)
        self._evaluate(last)

    def _evaluate(self, last: bool = False) -> None:
        due = self.sharded and self.looks(last)
        state = gathered(self.model.state_dict(), keep=self.is_main) if due else None
        if not self.is_main:
            return
        with self._replica.filled(state, self.device) if state is not None else nullcontext(self.model) as self.whole:
            metrics = self.evaluate(last)
        if metrics:
            self.log.write(self.step, metrics)
        if (self.step and self.step % self.config.picture_every == 0) or last:
            save_curves(self.pictures / "curves.png", read_metrics(self.log.file))
        self._meter = Meter() if self.step == 0 else self._meter

    # -- state --------------------------------------------------------------------------------------------------

    def _agree(self, signum: int | None) -> int | None:
        """Return the signal that any process has received, so that all processes stop at the same step."""
        return self._greatest(signum or 0) or None

    def _greatest(self, value: int) -> int:
        """Return the greatest *value* of all processes."""
        if self.accelerator.num_processes == 1:
            return value
        return int(self.accelerator.gather(torch.tensor([value], device=self.device)).max())

    def save(self) -> None:
        """Write a checkpoint; all processes must call it."""
        self._joules = total([*gather_object([self._energy.joules()]), self._energy_before])
        state = gathered(self._whole_state(), keep=self.is_main) if self.sharded or self.is_main else {}
        if self.is_main:
            path = save_checkpoint(self.checkpoints, self.step, state, self.config.keep)
            log.info("saved %s", path)
        self.accelerator.wait_for_everyone()

    def _whole_state(self) -> dict[str, Any]:
        scaler = self.accelerator.scaler
        return {
            **self._weights(),
            "accumulate": self.config.accumulate,
            "items_per_step": self.share.total,
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
        }

    def save_best(self) -> None:
        """Save the weights of this step as the best ones; called by :meth:`evaluate`.

        The folder ``checkpoints/best`` holds a checkpoint without the state that only resuming needs.
        """
        log.info("step %d is the best so far: saved %s", self.step, save_best(self.checkpoints, self._weights()))

    def load_best(self) -> int | None:
        """Load the best weights into model and moving average; return their step, or None if there are none."""
        if (path := best_checkpoint(self.checkpoints)) is None:
            return None
        state = load_checkpoint(path)
        with fitting(path):
            self._load_weights(state)
        return int(state["step"])

    def _weights(self) -> dict[str, Any]:
        return {
            **self.state(),
            "step": self.step,
            "samples": self.samples,
            "seconds": self.seconds,
            "processes": self.accelerator.num_processes,
            "joules": self._joules,
            "model": self.model.state_dict(),
            "ema": self.ema.module.state_dict() if self.ema is not None else None,
        }

    def _load_weights(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(scattered(state["model"], self.model.state_dict()))
        if self.ema is not None and state["ema"] is not None:
            self.ema.module.load_state_dict(scattered(state["ema"], self.ema.module.state_dict()))

    def _resume(self) -> None:
        path = latest_checkpoint(self.checkpoints)
        if path is None:
            self.no_checkpoint()
            return
        state = load_checkpoint(path)
        with fitting(path):
            self._load(state)
        log.info("continuing from %s", path)

    def _load(self, state: dict[str, Any]) -> None:
        self.step, self.samples, self.seconds = state["step"], int(state["samples"]), float(state["seconds"])
        self._energy_before = self._joules = state.get("joules")
        self.seconds *= state["processes"] / self.accelerator.num_processes
        self._divide(state)
        self._load_weights(state)
        load_optimizer(self.optimizer, scattered_optimizer(state["optimizer"], self.optimizer))
        self.schedule.step_update(self.step)
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.load_state(state)

    def _divide(self, state: dict[str, Any]) -> None:
        """Distribute the same number of items per step over the processes, unless ``trainer.accumulate`` changed."""
        if state.get("accumulate") != self.config.accumulate:
            return
        self.share = share = Share.of(state["items_per_step"], self.batch_size, *self._process)
        self.accelerator.gradient_accumulation_steps = share.passes
        if (share.batch, share.passes) != (self.batch_size, self.config.accumulate):
            log.info("%d items per step, as before: %d x %d in each of %d processes", share.total, share.passes,
                     share.batch, share.world)  # fmt: skip
