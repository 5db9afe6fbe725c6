"""The training loop of fine-tuning: crops of labeled scans, validation, and selection of the checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from umzoo.downstream.finetune.augment import Augmentation
from umzoo.downstream.finetune.cases import CachedCase, cache_cases
from umzoo.downstream.finetune.config import FinetuneConfig
from umzoo.downstream.finetune.crops import Crops, center_crop, say_padding
from umzoo.downstream.finetune.inference import logits_of_scan
from umzoo.downstream.finetune.losses import build_loss, class_weights
from umzoo.downstream.finetune.network import Learner, Origin, build_backbone, build_head
from umzoo.downstream.finetune.scores import LOWER_IS_BETTER, MAIN, Row, answer_row, dice_row, metrics_of
from umzoo.downstream.tasks import Split, Task
from umzoo.engine.training import Training
from umzoo.errors import ConfigError
from umzoo.fields import Fields, Rng, to_device
from umzoo.heads.pooled import PooledHead
from umzoo.nnunet.training.finetuning import FineTuning
from umzoo.spec import ComponentSpec, InputSpec
from umzoo.weights.transfer.saved_report import save_report

RUN = "finetune.json"
STATISTICS = 64
"""Maximum number of scans from which pooled features are standardized."""


class Phases:
    """Sets the learning rate of every group at each step; has the interface of timm's schedulers."""

    def __init__(self, optimizer: Any, options: FineTuning) -> None:
        self.optimizer, self.options = optimizer, options

    def step_update(self, step: int) -> None:
        """Set the learning rates of *step*."""
        rate = self.options.rate(min(step, self.options.epochs - 1))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]


class FineTuningRun(Training):
    """Trains a network on the training cases of *split*, and selects the best checkpoint on the validation cases.

    Args:
        folder: the run's folder.
        config: all options.
        task: the task.
        split: training, validation and test cases.
        origin: initialization of the network.
        network: backbone and the input it expects.
        cases: folder of the cached scans.
        about: content of ``finetune.json``.
        resume: continue from the newest checkpoint.
        cpu: run on the CPU.
    """

    model: Learner

    def __init__(
        self,
        folder: Path,
        config: FinetuneConfig,
        task: Task,
        split: Split,
        origin: Origin,
        network: tuple[ComponentSpec, InputSpec],
        *,
        cases: Path,
        about: dict[str, Any],
        resume: bool = False,
        cpu: bool = False,
    ) -> None:
        self.options, self.task, self.origin, self.about = config, task, origin, about
        self.spec, self.input = network
        self.patch = self.input.patch_size or (64, 64, 64)
        used = (*split.train, *split.validation, *split.test)
        cached = cache_cases(cases, replace(task, cases=used), self.input, config.data.dtype)
        self.train_cases = [cached[case.id] for case in split.train if case.id in cached]
        self.validation_cases = [cached[case.id] for case in split.validation if case.id in cached]
        self.test_cases = [cached[case.id] for case in split.test if case.id in cached]
        if not self.train_cases or not self.validation_cases:
            counts = f"{len(self.train_cases)} cases to train on and {len(self.validation_cases)} to validate on"
            raise ConfigError(f"expected training and validation cases, got {counts}: correct the splits of the table")
        self.unusable = sorted(case.id for case in used if case.id not in cached)
        if task.kind != "segmentation" and config.data.view == "center":
            say_padding(self.train_cases, self.patch)
        self.mean, self.std = _target_statistics(task, self.train_cases)
        self.best, self.best_step, self.best_head = -math.inf, 0, 0
        self.best_rows: list[Row] | None = None
        self.augmentation = Augmentation(config.augmentation)
        self.phases = config.strategy.phases(config.trainer.steps, config.optim.lr)
        self._is_new = not resume
        super().__init__(folder, config.trainer, config.optim, config.seed, resume=resume, cpu=cpu)
        if config.strategy.name != "full":
            self.schedule = Phases(self.optimizer, self.phases)
            self.schedule.step_update(self.step)

    def require_new(self) -> None:
        """Raise ConfigError if the folder holds a run."""
        if (self.folder / RUN).exists():
            raise ConfigError(
                f"{self.folder} holds a run: continue it with --resume {self.folder}, or choose another --out"
            )

    def begin(self) -> None:
        """Write ``finetune.json``, which describes the run."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        (self.folder / RUN).write_text(json.dumps(self.about, indent=1), encoding="utf-8")
        if self.report is not None:
            save_report(self.report, self.folder)

    def build_model(self) -> Learner:
        """Build backbone and head, the same head for every origin."""
        backbone, self.report = build_backbone(self.origin, self.spec, self.input, self.options.seed)
        count = len(self._rates())
        heads = [build_head(self.task, self.options, backbone) for _ in range(count)]
        loss = build_loss(self.task, class_weights(self.options, self.task, self.train_cases))
        learner = Learner(backbone, heads, loss, self.augmentation)
        if self.origin.weights is None or getattr(backbone.config, "batch_statistics", False):
            learner.measure_norms(self._unchanged())
        if self._is_new and isinstance(heads[0], PooledHead):
            _standardize(learner, [center_crop(cached, self.patch) for cached in self.train_cases[:STATISTICS]])
        return learner

    def _unchanged(self) -> Iterator[Tensor]:
        """Return a fixed sequence of training batches ``(B, C, D, H, W)`` without augmentation."""
        crops = Crops(self.train_cases, self.options.data, self.patch, self.seed)
        count = min(STATISTICS, len(self.train_cases)) // self.options.data.batch_size
        return (crops.batch(number)["image"] for number in range(max(1, count)))

    @property
    def judged(self) -> Learner:
        """The network that is validated and exported: the moving average (EMA), if there is one."""
        return self.model if self.ema is None else self.ema.module  # type: ignore[no-any-return]

    def _rates(self) -> list[float]:
        """Factor on the learning rate of each head."""
        strategy, lr = self.options.strategy, self.options.optim.lr
        return [rate / lr for rate in strategy.probe_rates] if strategy.name == "probe" else [strategy.head_rate]

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return the parameter groups of the heads and of each backbone stage."""
        learner: Learner = model  # type: ignore[assignment]
        return learner.groups(self.options.strategy.layer_decay, self._rates())

    @property
    def batch_size(self) -> int:
        """``data.batch_size`` of the options."""
        return self.options.data.batch_size

    def batches(self, step: int) -> AbstractContextManager[Iterator[Fields]]:
        """Open the batches of this process, starting at *step*."""
        return Crops(self.train_cases, self.options.data, self.patch, self.seed, self.share).open(step)

    def prepare_batch(self, raw: Fields, rng: Rng) -> tuple[Fields, Rng]:
        """Move *raw* to the device; regression targets are standardized."""
        batch = to_device(raw, self.device)
        if self.task.kind == "regression":
            batch["targets"] = (batch["targets"] - self.mean.to(self.device)) / self.std.to(self.device)
        return batch, rng

    def before_step(self) -> None:
        """Freeze or unfreeze the backbone, according to the phase."""
        self.model.train()
        if self.step < self.phases.frozen:
            self.model.keep(everything=self.options.strategy.name == "probe")
            if self.model.kept:
                self.model.backbone.eval()
        else:
            self.model.release()

    def may_leave_out(self) -> bool:
        """Return True: parts of the backbone may be frozen, or unused without dense features."""
        return True

    def evaluate(self, last: bool) -> dict[str, float]:
        """Validate if it is due; save the best weights."""
        if self.step == 0 or not (last or self.step % self.options.validate_every == 0):
            return {}
        name = MAIN[self.task.kind]
        if not self.model.kept:
            self.judged.measure_norms(self._unchanged())
        rows = self.judge(self.validation_cases, range(len(self.model.heads)))
        found = [metrics_of(self.task, of_head) for of_head in rows]
        values = [self._gain(metrics[name]) for metrics in found]
        head = max(range(len(values)), key=values.__getitem__)
        if values[head] > self.best or not self.best_step or self.options.strategy.checkpoint == "last":
            self.best, self.best_step, self.best_head = values[head], self.step, head
            self.best_rows = rows[head]
            self.save_best()
        return {f"val.{key}": value for key, value in found[head].items()}

    @staticmethod
    def _sign(name: str) -> int:
        return -1 if name in LOWER_IS_BETTER else 1

    def _gain(self, value: float) -> float:
        gain = self._sign(MAIN[self.task.kind]) * value
        return gain if math.isfinite(gain) else -1e30

    def should_stop(self) -> bool:
        """Return whether the validation has not improved for ``strategy.patience`` validations."""
        patience = self.options.strategy.patience
        return patience is not None and self.step - self.best_step >= patience * self.options.validate_every > 0

    def state(self) -> dict[str, Any]:
        """Return the state of checkpoint selection."""
        return {"best": self.best, "best_step": self.best_step, "best_head": self.best_head}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the state of checkpoint selection."""
        self.best, self.best_step, self.best_head = state["best"], state["best_step"], state["best_head"]

    @torch.no_grad()
    def judge(self, cases: Sequence[CachedCase], heads: Sequence[int]) -> list[list[Row]]:
        """Predict *cases*; return one row per case for each of *heads*."""
        was_training = self.judged.training
        self.judged.eval()
        rows = [[self._row(cached, head) for cached in cases] for head in heads]
        self.judged.train(was_training)
        return rows

    def _row(self, cached: CachedCase, head: int) -> Row:
        row = {"case": cached.case.id, "subject": cached.case.subject}
        answer = self.answer(cached, head)
        if cached.label is not None:
            return {**row, **dice_row(self.task, answer.argmax(0), cached.label)}
        return {**row, **answer_row(self.task, answer, cached.case.targets)}

    @torch.no_grad()
    def answer(self, cached: CachedCase, head: int) -> Tensor:
        """Return the output for one scan: logits, or numbers in the units of the table."""
        answer = logits_of_scan(
            lambda image: self.judged.answers(image)[head], cached, self.options.data, self.patch, self.device
        )
        return answer * self.std + self.mean if self.task.kind == "regression" else answer


def _target_statistics(task: Task, cases: Sequence[CachedCase]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the regression targets; 0 and 1 for other tasks."""
    if task.kind != "regression":
        return torch.zeros(1), torch.ones(1)
    targets = torch.tensor([cached.case.targets for cached in cases])
    return targets.mean(0), targets.std(0).clamp_min(1e-6)


@torch.no_grad()
def _standardize(learner: Learner, crops: Sequence[Tensor]) -> None:
    """Set the statistics by which each head standardizes its pooled features."""
    was_training = learner.training
    learner.eval()
    heads: list[PooledHead] = list(learner.heads)  # type: ignore[arg-type]
    vectors = torch.cat([heads[0].pool(learner.backbone(crop[None])) for crop in crops])
    for head in heads:
        head.set_statistics(vectors.mean(0), vectors.std(0) if len(vectors) > 1 else torch.ones_like(vectors[0]))
    learner.train(was_training)
