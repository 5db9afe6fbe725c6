"""Adversarial training that removes the modality from the features (Universal Model, arXiv 2010.06107).

The paper's abstract mentions the adversary without details. Gradient reversal and its schedule are those of
domain-adversarial training (Ganin et al., JMLR 2016); the alternating variant is the classic min-max game.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from umzoo.backbones.base import Features
from umzoo.config import Config as Options
from umzoo.fields import Fields
from umzoo.pretext.base import UNIVERSAL_MODEL, PretextContext, PretextTask
from umzoo.pretext.labels import accuracy, cross_entropy, labeled


class _Reverse(torch.autograd.Function):
    """Identity in the forward pass; multiplies the gradient by -*strength* in the backward pass."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: Tensor) -> Tensor:
        ctx.save_for_backward(strength)
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (strength,) = ctx.saved_tensors
        return -strength.to(gradients[0].dtype) * gradients[0], None


class ModalityAdversarial(PretextTask):
    """A classifier of the modality on pooled features; the encoder is trained to make it fail.

    Items of unknown modality (-1) are ignored. Metric: ``accuracy`` of the adversary.
    """

    name = "modality_adversarial"
    reads: ClassVar[frozenset[str]] = frozenset({"modality", "progress", "step"})
    citations = (UNIVERSAL_MODEL,)

    class Config(Options):
        """Options of the modality adversary."""

        mode: Literal["reversal", "alternating"] = Field(
            "reversal", description="gradient reversal, or training of classifier and encoder in alternating steps"
        )
        strength: float = Field(1.0, ge=0, description="final strength of the reversed gradient")
        ramp: float = Field(10.0, gt=0, description="steepness of the strength's increase, 2 / (1 + exp(-ramp p)) - 1")
        hidden: int = Field(64, ge=1, description="hidden units of the classifier")

    config: Config

    def __init__(self, config: Any, context: PretextContext) -> None:
        super().__init__(config, context)
        channels = context.backbone.levels[-1].channels
        self.head = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, self.config.hidden),
            nn.ReLU(),
            nn.Linear(self.config.hidden, len(context.modalities)),
        )

    @classmethod
    def obstacle(cls, context: PretextContext) -> str | None:
        """Return a reason if there are fewer than two modalities."""
        known = ", ".join(context.modalities) or "none"
        return None if len(context.modalities) > 1 else f"the store has fewer than two known modalities ({known})"

    def loss(self, features: Features, views: Fields) -> Tensor:
        """Return the loss of the adversary, by ``mode``; with reversal, the encoder gets the reversed gradient."""
        play = self._reversal if self.config.mode == "reversal" else self._alternating
        logits, loss = play(features.pooled.float(), views)
        self.metrics["accuracy"] = accuracy(logits, views["modality"])
        return loss

    def strength(self, progress: Tensor) -> Tensor:
        """Return the strength ``()`` at *progress* in [0, 1], which increases from 0 to the configured value."""
        return self.config.strength * (2 / (1 + torch.exp(-self.config.ramp * progress)) - 1)

    def _reversal(self, pooled: Tensor, views: Fields) -> tuple[Tensor, Tensor]:
        logits = self.head(_Reverse.apply(pooled, self.strength(views["progress"])))
        return logits, cross_entropy(logits, views["modality"], views.get("modality_count"))

    def _alternating(self, pooled: Tensor, views: Fields) -> tuple[Tensor, Tensor]:
        """Train the classifier on fixed features in even steps, and the encoder towards uniform logits in odd ones."""
        trained = dict(self.head.named_parameters())
        if int(views["step"]) % 2 == 0:
            logits = self.head(pooled.detach())
            return logits, cross_entropy(logits, views["modality"], views.get("modality_count"))
        logits = functional_call(self.head, {name: value.detach() for name, value in trained.items()}, (pooled,))
        asked = (views["modality"] >= 0).float()
        count = labeled(views["modality"], views.get("modality_count"))
        surprise = -functional.log_softmax(logits, dim=1).mean(dim=1) - math.log(logits.shape[1])
        confusion = (surprise * asked).sum() / count
        untouched = sum((value.sum() for value in trained.values()), start=pooled.new_zeros(()))
        return logits, self.strength(views["progress"]) * confusion + 0 * untouched
