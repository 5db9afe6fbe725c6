"""SimCLR (Chen et al., ICML 2020): attracts two views of a volume, and repels views of different volumes."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

import umzoo
from umzoo.errors import ConfigError
from umzoo.pretext.boxes import cut, draw_boxes, require_ascending
from umzoo.pretext.labels import accuracy
from umzoo.pretext.projection import Projection, similarity

Share = Annotated[float, Field(gt=0, le=1)]

CORRUPTIONS = ({"name": "flip", "depth": True}, {"name": "gamma", "p": 0.8}, {"name": "noise", "p": 0.5})


class SimCLR(umzoo.PretextTask):
    """NT-Xent on projections of two random crops of each volume, resized to the patch and corrupted.

    Negatives are the other items in the batch of the same process. Metrics: ``accuracy``, the fraction of views whose
    nearest neighbor is their positive, and ``chance``.
    """

    name = "simclr"
    citations = ("Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020",)

    class Config(umzoo.Config):
        """Options of ``simclr``."""

        crop: tuple[Share, Share] = Field(
            (0.5, 1.0), description="minimum and maximum edge of a crop, as a fraction of the patch"
        )
        corruptions: tuple[umzoo.ComponentSpec, ...] = Field(
            CORRUPTIONS, description="corruptions of each view, in order"
        )
        temperature: float = Field(0.1, gt=0, description="temperature of the similarities")
        hidden: int = Field(512, ge=1, description="channels of the projection's hidden layer")
        dim: int = Field(128, ge=1, description="length of the embedding")

    config: Config

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        require_ascending("simclr.crop", self.config.crop)
        self.corruptions = umzoo.build_corruptions(self.config.corruptions, "pretext.tasks.simclr.corruptions")
        channels = context.backbone.levels[-1].channels
        self.head = Projection(channels, self.config.hidden, self.config.dim, centered=True)

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Return both views of each item, concatenated to ``(2 * B, C, D, H, W)``.

        Raises:
            ConfigError: if the batch has only one item.
        """
        image = batch["image"]
        if len(image) < 2:
            raise ConfigError("simclr contrasts the items of a batch and got 1: set data.batch_size to 2 or more")
        pairs = torch.cat((image, image))
        crops = cut(pairs, *draw_boxes(len(pairs), self.config.crop, rng.fork(0)))
        corrupted, _, _ = self.corruptions(crops, rng.fork(1))
        return {"image": corrupted}

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return NT-Xent over the ``2 * B`` views."""
        embedding = self.head(features.pooled)
        count = len(embedding)
        partner = torch.arange(count, device=embedding.device).roll(count // 2)
        itself = torch.eye(count, dtype=torch.bool, device=embedding.device)
        logits = (similarity(embedding, embedding) / self.config.temperature).masked_fill(itself, -torch.inf)
        self.metrics |= {"accuracy": accuracy(logits, partner), "chance": torch.full((), 1 / (count - 1))}
        return functional.cross_entropy(logits, partner)
