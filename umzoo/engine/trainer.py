"""The trainer: takes a recipe and a store to a trained network. Devices and processes are Accelerate's business."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, gather_object, set_seed

from umzoo.backbones.base import Backbone
from umzoo.data.intensity import to_unit
from umzoo.data.loader import Loader
from umzoo.data.open import open_store
from umzoo.engine.build import build_from_recipe
from umzoo.engine.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from umzoo.engine.evaluate import Evaluator
from umzoo.engine.log import RunLog, read_metrics
from umzoo.engine.meter import Meter
from umzoo.engine.optim import build_optimizer, build_schedule
from umzoo.engine.pictures import save_curves
from umzoo.engine.recipe import TrainerConfig
from umzoo.engine.run import Run
from umzoo.engine.signals import StopRequest
from umzoo.engine.soundness import Untrained, poisoned
from umzoo.engine.start import Start, start_from, trained_input
from umzoo.errors import ConfigError, UmzooError
from umzoo.fields import Fields, Rng, to_device
from umzoo.plugins import zoo
from umzoo.pretext.model import Output, PretextModel

log = logging.getLogger(__name__)

PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class Trainer:
    """Pre-trains the network of *run*.

    Everything random is a function of (seed, step, process), and the rest of the state is in the checkpoints, so a
    resumed run equals the uninterrupted one; on the CPU bit for bit.

    Args:
        run: what to train; its folder must exist (see :meth:`Run.begin`) when ``resume`` is set.
        resume: continue from the newest checkpoint.
        cpu: stay on the CPU even if there is a GPU.
        weights: a weights folder that a new run begins with, as far as it fits; random values if None.
    """

    def __init__(self, run: Run, resume: bool = False, cpu: bool = False, weights: Path | None = None) -> None:
        self.run, self.recipe, self.config = run, run.recipe, run.recipe.trainer
        self.accelerator = _accelerator(self.config, cpu)
        self.store = open_store(run.data, only=run.volumes)
        self.step, self.samples, self.seconds, self._bad = 0, 0, 0.0, 0
        if not resume and self.accelerator.is_main_process:
            run.require_empty()
        self.start: Start | None = None
        self._build(weights)
        if resume:
            self._resume()
        elif self.accelerator.is_main_process:
            run.begin(tuple(record.id for record in self.store.records), self.start)
        self.accelerator.wait_for_everyone()
        self.evaluator = Evaluator(self.store, self.recipe.data, self.recipe.seed, self.accelerator.device)

    @property
    def device(self) -> torch.device:
        """Where the training runs."""
        return self.accelerator.device  # type: ignore[no-any-return]

    def _build(self, weights: Path | None) -> None:
        """Make model, optimizer, schedule and moving average; the model begins with *weights*, if there are any."""
        recipe, config = self.recipe, self.config

        def fill(backbone: Backbone) -> None:
            if weights is not None:
                self.start = start_from(weights, backbone, trained_input(self.store, recipe, backbone))

        self.model: PretextModel = build_from_recipe(zoo(), recipe, self.store.modalities, fill).to(self.device)
        set_seed(recipe.seed, device_specific=True)
        if config.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.ema = self._build_ema()
        if config.compile:
            self.model.backbone.compile()
        optimizer = build_optimizer(recipe.optim, self.model)
        self.schedule = build_schedule(recipe.optim, optimizer, config.steps)
        self.accelerator.ddp_handler.find_unused_parameters = self._may_leave_out()
        self.wrapped, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self._untrained = Untrained(self.model, config.steps if self.accelerator.num_processes == 1 else 1)

    def _may_leave_out(self) -> bool:
        """Whether parameters may get no gradient: without a dense task, those of levels made for the decoder only."""
        return not any(task.dense for task in self.model.tasks.values())

    def _build_ema(self) -> Any:
        if not self.config.ema:
            return None
        from timm.utils import ModelEmaV3

        return ModelEmaV3(self.model.backbone, decay=self.config.ema)

    # -- the loop -----------------------------------------------------------------------------------------------

    def fit(self) -> int | None:
        """Train to the last step; return the signal that stopped it earlier, if one did.

        Raises:
            UmzooError: if the loss stays non-finite, the data runs out or a checkpoint cannot be written.
        """
        main, config = self.accelerator.is_main_process, self.config
        loader = Loader(
            self.store,
            self.recipe.data,
            self.recipe.seed,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
            start_step=self.step * config.accumulate,
        )
        with StopRequest() as stop, RunLog(self.run.folder, config.steps, self.step, main) as self.log, loader:
            self.loader, self._waited, self._meter = loader, 0.0, Meter()
            batches = iter(loader)
            if self.step == 0:
                if self.start is not None:
                    self.save()
                self._evaluate()
            while self.step < config.steps:
                self._train_step(batches)
                self._report()
                if self.step % config.checkpoint_every == 0:
                    self.save()
                if stopping := self._agree(stop.signum):
                    break
            else:
                stopping = None
            if self.step % config.checkpoint_every or self.step == 0:
                self.save()
        return stopping

    def _train_step(self, batches: Iterator[Fields]) -> None:
        """One optimizer step: ``accumulate`` batches forward and backward, then the update."""
        began = time.perf_counter()
        for part in range(self.config.accumulate):
            raw = next(batches)
            batch, rng = self._batch(raw, self.step * self.config.accumulate + part)
            with self.accelerator.accumulate(self.wrapped):
                output = self.wrapped(batch, rng)
                self.accelerator.backward(poisoned(output.loss))
                if self.accelerator.sync_gradients:
                    self._update(output)
            self._meter.add({"loss": output.loss, **output.parts}, raw["volume"].shape[0])
            self.samples += raw["volume"].shape[0] * self.accelerator.num_processes
        self.step += 1
        self.schedule.step_update(self.step)
        self.seconds += time.perf_counter() - began

    def _batch(self, raw: Fields, micro_step: int) -> tuple[Fields, Rng]:
        """Take *raw* to the device and to [0, 1], and add where the training stands."""
        rng = Rng(self.recipe.seed, micro_step, self.accelerator.process_index, device=self.device)
        batch = to_unit(to_device(raw, self.device), rng.fork(0))
        if self.config.channels_last:
            batch["image"] = batch["image"].contiguous(memory_format=torch.channels_last_3d)
        batch["progress"] = torch.tensor(self.step / self.config.steps, device=self.device)
        batch["step"] = torch.tensor(self.step)
        return batch, rng.fork(1)

    def _update(self, output: Output) -> None:
        """Clip and step, or skip the step if loss or gradient are not finite."""
        norm = self.accelerator.clip_grad_norm_(self.wrapped.parameters(), self.recipe.optim.clip or math.inf)
        finite = bool(torch.isfinite(norm))
        if finite or self.accelerator.scaler is not None:  # the scaler skips bad steps itself, and must see them
            self.optimizer.step()
        self._untrained.look()
        self.optimizer.zero_grad()
        self._guard(finite, output)
        if finite:
            self.model.after_step()
            if self.ema is not None:
                self.ema.update(self.model.backbone, step=self.step)

    def _guard(self, finite: bool, output: Output) -> None:
        scaler = self.accelerator.scaler
        if finite or (scaler is not None and scaler.get_scale() > 1):
            self._bad = 0
            return
        self._bad += 1
        culprits = [label for label in self.model.tasks if not output.parts[label].isfinite()]
        what = f"loss of {', '.join(culprits)}" if culprits else "gradient"
        log.warning("step %d: the %s is not finite, the step is skipped", self.step + 1, what)
        if self._bad >= self.config.nan_patience:
            last = latest_checkpoint(self.run.checkpoints)
            raise UmzooError(
                f"the {what} was not finite for {self._bad} steps in a row, up to step {self.step + 1}:"
                f" lower optim.lr or use trainer.precision='bf16'; last checkpoint: {last.name if last else 'none'}"
            )

    # -- what is written ----------------------------------------------------------------------------------------

    def _report(self) -> None:
        """Log and evaluate when it is due."""
        config, last = self.config, self.step == self.config.steps
        if self.step % config.log_every == 0 or last:
            waited, self._waited = self.loader.wait_seconds - self._waited, self.loader.wait_seconds
            metrics = self._meter.flush(waited, self.accelerator.num_processes)
            metrics["lr"] = self.optimizer.param_groups[0]["lr"]
            self.log.write(self.step, metrics)
        self._evaluate(last)

    def _evaluate(self, last: bool = False) -> None:
        if not self.accelerator.is_main_process:
            return
        config = self.config
        if (self.step % config.probe_every == 0 or last) and len(self.store.modalities) > 1:
            self.log.write(self.step, self.evaluator.probe(self.model, config.probe_volumes))
        if self.step % config.picture_every == 0 or last:
            self.evaluator.panels(self.model, self.run.pictures, self.step, config.steps)
            save_curves(self.run.pictures / "curves.png", read_metrics(self.log.file))
        self._meter = Meter() if self.step == 0 else self._meter

    # -- state --------------------------------------------------------------------------------------------------

    def _agree(self, signum: int | None) -> int | None:
        """The signal that any process has received, so that all stop at the same step."""
        if self.accelerator.num_processes == 1:
            return signum
        heard = torch.tensor([signum or 0], device=self.device)
        return int(self.accelerator.gather(heard).max()) or None

    def save(self) -> None:
        """Write a checkpoint."""
        rng = gather_object([_random_state(self.device)])
        quarantined = dict(self.loader.quarantined)
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            state = {
                "step": self.step,
                "samples": self.samples,
                "seconds": self.seconds,
                "processes": self.accelerator.num_processes,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": scaler.state_dict() if scaler is not None else None,
                "ema": self.ema.module.state_dict() if self.ema is not None else None,
                "rng": rng,
                "quarantined": quarantined,
                "modalities": list(self.store.modalities),
            }
            path = save_checkpoint(self.run.checkpoints, self.step, state, self.config.keep)
            log.info("saved %s", path)
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        path = latest_checkpoint(self.run.checkpoints)
        if path is None and self.run.start is not None:
            raise ConfigError(
                f"{self.run.folder} has no checkpoint yet: remove it, and start again with --weights"
                f" {self.run.start.base.repository or self.run.start.base.name}"
            )
        if path is None:
            log.warning("%s has no checkpoint yet: starting at step 0", self.run.folder)
            return
        state = load_checkpoint(path)
        self.step, self.samples, self.seconds = state["step"], state["samples"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.step_update(self.step)
        if self.ema is not None and state["ema"] is not None:
            self.ema.module.load_state_dict(state["ema"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        rank = self.accelerator.process_index
        if state["processes"] == self.accelerator.num_processes:
            _set_random_state(state["rng"][rank], self.device)
        else:
            log.warning("the run had %d processes and now has %d: it goes on with other samples", state["processes"],
                        self.accelerator.num_processes)  # fmt: skip
        log.info("continuing from %s", path)


def _accelerator(config: TrainerConfig, cpu: bool) -> Accelerator:
    """Raises ConfigError if the device cannot do the precision."""
    try:
        return Accelerator(
            cpu=cpu,
            mixed_precision=PRECISION[config.precision],
            gradient_accumulation_steps=config.accumulate,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=False)],
        )
    except ValueError as error:
        raise ConfigError(f"trainer.precision '{config.precision}' does not work on this device: {error}") from None


def _random_state(device: torch.device) -> dict[str, Any]:
    """Global random state, which dropout and stochastic depth of a backbone may use."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _set_random_state(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
