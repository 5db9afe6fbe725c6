"""A pretext task for umzoo: predict the number of 90-degree rotations of a volume (Gidaris et al., ICLR 2018)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import umzoo
from umzoo.pretext.labels import classification_metrics


class Rotation(umzoo.PretextTask):
    """Predict which of four axial 90-degree rotations was applied. Metrics: ``accuracy``, and ``chance`` (0.25)."""

    name = "rotation"
    citations = ("Gidaris et al., Unsupervised Representation Learning by Predicting Image Rotations, ICLR 2018",)

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        self.head = nn.Linear(8 * context.backbone.levels[-1].channels, 4)

    @classmethod
    def obstacle(cls, context: umzoo.PretextContext) -> str | None:
        """Return a reason if axial slices of patches are not square."""
        _, height, width = context.patch_size
        return None if height == width else f"data.patch_size must be square in H and W, got {height} x {width}"

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Rotate each volume ``(C, D, H, W)`` of the batch by a random multiple of 90 degrees."""
        turns = rng.integers((len(batch["image"]),), 0, 3)
        turned = [torch.rot90(image, int(k), dims=(2, 3)) for image, k in zip(batch["image"], turns, strict=True)]
        return {"image": torch.stack(turned), "turns": turns}

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return the cross entropy of the four classes."""
        logits = self.head(features.octants)
        self.metrics |= classification_metrics(logits, views["turns"])
        return nn.functional.cross_entropy(logits, views["turns"])


@umzoo.hookimpl
def register_pretext_tasks(register: Any) -> None:
    """Register the task."""
    register(Rotation)
