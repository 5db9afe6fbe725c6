"""The network of a fine-tuning: a backbone from weights or random initialization, and a head."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from umzoo.api import create_model, from_pretrained, transfer
from umzoo.backbones.base import Backbone
from umzoo.backbones.recalibrate import recalibrate
from umzoo.backbones.state import named_tensors
from umzoo.downstream.finetune.config import FinetuneConfig
from umzoo.downstream.finetune.losses import Loss
from umzoo.downstream.tasks import Task
from umzoo.errors import ConfigError
from umzoo.fields import Fields, Rng
from umzoo.heads.base import Head
from umzoo.hub.pulling.references import resolve
from umzoo.nnunet.training.finetuning import encoder_parameters, parameter_groups
from umzoo.plugins import zoo
from umzoo.pretext.model import Output
from umzoo.spec import ComponentSpec, InputSpec
from umzoo.weights.folder.reader import read_info
from umzoo.weights.transfer import TransferReport

log = logging.getLogger(__name__)

HEADS = {"multilabel": "classification"}
"""Kinds of task whose head has a different name."""


@dataclass(frozen=True)
class Origin:
    """Initialization: from *weights*, or random with the architecture of the reference *like*."""

    weights: str | None = None
    like: str | None = None


def expected_input(origin: Origin, config: FinetuneConfig, channels: int) -> tuple[ComponentSpec, InputSpec]:
    """Return the backbone and its input.

    Raises:
        ConfigError: if no network is given.
        WeightsError: if the reference cannot be read.
    """
    if ref := origin.weights or origin.like:
        info = read_info(resolve(ref))
        backbone, spec = info.backbone, info.input
    elif config.backbone is not None:
        backbone, spec = config.backbone, InputSpec(spacing=(1.0, 1.0, 1.0))
        spec = spec.model_copy(update={"space": create_model(backbone.name, **backbone.options).info.input_space})
    else:
        raise ConfigError("no network: give --weights REF; or --no-weights with --like REF or the table [backbone]")
    changes: dict[str, Any] = {"in_channels": channels}
    changes["patch_size"] = config.data.patch_size or spec.patch_size or (64, 64, 64)
    if config.data.spacing is not None:
        changes["spacing"] = None if config.data.spacing == "native" else config.data.spacing
    return backbone, spec.model_copy(update=changes)


def build_backbone(
    origin: Origin, spec: ComponentSpec, input: InputSpec, seed: int
) -> tuple[Backbone, TransferReport | None]:
    """Return the backbone, and the report on its weights where it begins with some."""
    if origin.weights is None:
        return fresh_backbone(spec, seed, input.in_channels), None
    report = transfer(origin.weights, fresh_backbone(spec, seed, input.in_channels), input=input)
    _log_report(report)
    return from_pretrained(origin.weights, head=False, in_channels=input.in_channels), report


def _log_report(report: TransferReport) -> None:
    log.info("%s", report.verdict)
    for part in report.groups:
        share = part.transferred / part.values if part.values else 1
        counts = f"{part.exact} tensors exact, {part.adapted} adapted, {part.fresh} random"
        log.info("  %s: %s; %.1f %% of its values set", part.group, counts, 100 * share)
    for warning in report.warnings:
        log.warning("%s", warning)


def fresh_backbone(spec: ComponentSpec, seed: int, in_channels: int = 1) -> Backbone:
    """Return the backbone *spec*, initialized with *seed*; *in_channels* above 1 overrides that of *spec*."""
    changes = {} if in_channels == 1 else {"in_channels": in_channels}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_model(spec.name, **{**spec.options, **changes})


def build_head(task: Task, config: FinetuneConfig, backbone: Backbone) -> Head:
    """Return the head; its initial values depend on the seed, not on the values of the backbone."""
    name = HEADS.get(task.kind, task.kind)
    options: dict[str, Any] = {"name": name}
    if task.kind == "segmentation":
        options["levels"] = config.head.levels
    else:
        options |= {"pooling": config.head.pooling, "dropout": config.head.dropout}
    if name in ("segmentation", "classification"):
        options["classes"] = len(task.classes)
    elif name == "regression":
        options["targets"] = len(task.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head: Head = zoo().heads.build(options, "head", info=backbone.info)
    return head


class Learner(nn.Module):
    """A backbone, its heads (a probe has one per learning rate, other strategies one) and the loss.

    Args:
        backbone: the network.
        heads: heads on the same features.
        loss: loss of one head's output and a batch.
        augment: augments a training batch.
    """

    def __init__(
        self, backbone: Backbone, heads: list[Head], loss: Loss, augment: Callable[[Fields, Rng], Fields]
    ) -> None:
        super().__init__()
        self.backbone, self.heads = backbone, nn.ModuleList(heads)
        self.loss, self.augment = loss, augment
        self.kept = False

    def forward(self, batch: Fields, rng: Rng) -> Output:
        """Return the sum of the heads' losses on the augmented *batch*."""
        batch = self.augment(batch, rng)
        losses = [self.loss(answer, batch) for answer in self.answers(batch["image"])]
        return Output(torch.stack(losses).sum())

    def answers(self, image: Tensor) -> list[Tensor]:
        """Return each head's output for *image* ``(B, C, D, H, W)``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.kept):
            features = self.backbone(image, dense=self._dense)
        return [head(features) for head in self.heads]

    @property
    def _dense(self) -> bool:
        return any(getattr(head, "dense", False) for head in self.heads)

    def measure_norms(self, images: Iterable[Tensor]) -> None:
        """Recompute the running statistics of batch norms, if there are any, on *images* ``(B, C, D, H, W)``.

        Running averages of training come from earlier values of the network, and are noisy with small batches (Wu and
        Johnson, Rethinking "Batch" in BatchNorm, arXiv 2105.07576).
        """
        if any(isinstance(module, _BatchNorm) for module in self.backbone.modules()):
            device = next(self.backbone.parameters()).device
            recalibrate(self.backbone, (image.to(device) for image in images))

    def keep(self, everything: bool) -> None:
        """Freeze the whole backbone; only the encoder if a head uses the decoder and not *everything* is frozen."""
        self.kept = everything or not self._dense
        parameters = self.backbone.parameters() if self.kept else encoder_parameters(self.backbone, self._names())
        for parameter in parameters:
            parameter.requires_grad_(False)

    def release(self) -> None:
        """Unfreeze the backbone."""
        self.kept = False
        self.backbone.requires_grad_(True)

    def _names(self) -> frozenset[str]:
        return frozenset(named_tensors(self.backbone))

    def groups(self, layer_decay: float, rates: list[float]) -> list[dict[str, Any]]:
        """Return the optimizer's parameter groups: those of each head with its factor in *rates*, then each stage's."""
        groups = []
        for head, rate in zip(self.heads, rates, strict=True):
            groups += _by_decay(list(head.parameters()), rate)
        for group in parameter_groups(self.backbone, layer_decay):
            groups += _by_decay(group["params"], group["factor"])  # type: ignore[arg-type]
        return groups


def _by_decay(parameters: list[Tensor], scale: float) -> list[dict[str, Any]]:
    """Split into two groups: biases and norms get no weight decay."""
    plain = [parameter for parameter in parameters if parameter.ndim <= 1]
    others = [parameter for parameter in parameters if parameter.ndim > 1]
    groups = [{"params": others, "lr_scale": scale}, {"params": plain, "lr_scale": scale, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
