"""Losses for each kind of task."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from umzoo.downstream.finetune.cases import CachedCase
from umzoo.downstream.finetune.config import FinetuneConfig
from umzoo.downstream.tasks import Task
from umzoo.errors import ConfigError
from umzoo.fields import Fields

Loss = Callable[[Tensor, Fields], Tensor]


def build_loss(task: Task, weight: Tensor | None) -> Loss:
    """Return the loss, a function of network outputs and a batch; it expects standardized regression targets."""
    if task.kind == "segmentation":
        from monai.losses import DiceCELoss

        dice = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True, weight=weight)
        return lambda answer, batch: dice.to(answer.device)(answer.float(), batch["label"])
    if task.kind == "classification":
        return lambda answer, batch: functional.cross_entropy(
            answer, batch["targets"][:, 0].long(), None if weight is None else weight.to(answer.device)
        )
    if task.kind == "multilabel":
        return lambda answer, batch: functional.binary_cross_entropy_with_logits(
            answer, batch["targets"], pos_weight=None if weight is None else weight.to(answer.device)
        )
    if task.kind == "survival":
        return lambda answer, batch: cox_loss(answer[:, 0], batch["targets"][:, 0], batch["targets"][:, 1])
    return lambda answer, batch: functional.mse_loss(answer, batch["targets"])


def cox_loss(risk: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Return the mean negative log partial likelihood of *event* s, each ``(B,)``, with Breslow's treatment of ties.

    Cox, Regression models and life-tables, J. R. Stat. Soc. B 34 (1972); Breslow, Biometrics 30 (1974). A batch
    without an event has no loss, and no gradient.
    """
    at_risk = time[None, :] >= time[:, None]
    total = risk[None, :].expand(len(risk), -1).masked_fill(~at_risk, -torch.inf).logsumexp(dim=1)
    return ((total - risk) * event).sum() / event.sum().clamp_min(1)


def class_weights(config: FinetuneConfig, task: Task, train: Sequence[CachedCase]) -> Tensor | None:
    """Return the class weights ``(n,)`` of the strategy, with mean 1; for multilabel, the weights of positives.

    Raises:
        ConfigError: if the number of weights differs from that of the classes, or the task has no classes.
    """
    wanted = config.strategy.class_weights
    if wanted == "none":
        return None
    if task.kind in ("regression", "survival"):
        raise ConfigError(f"strategy.class_weights: a {task.kind} task has no classes")
    if not isinstance(wanted, str):
        if len(wanted) != len(task.classes):
            raise ConfigError(f"strategy.class_weights has {len(wanted)} weights for {len(task.classes)} classes")
        return torch.tensor(wanted)
    if task.kind == "multilabel":
        share = np.mean([cached.case.targets for cached in train], axis=0).clip(1e-3, 1)
        return torch.tensor((1 - share) / share, dtype=torch.float32)
    counts = np.zeros(len(task.classes))
    for cached in train:
        values = cached.label.ravel() if cached.label is not None else np.array(cached.case.targets, np.int64)
        counts += np.bincount(values, minlength=len(counts))
    inverse = 1 / np.sqrt(counts.clip(1)) if task.kind == "segmentation" else 1 / counts.clip(1)
    return torch.tensor(inverse / inverse.mean(), dtype=torch.float32)
