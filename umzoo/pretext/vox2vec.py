"""vox2vec (Goncharov et al., MICCAI 2023): contrastive learning of voxel-level features in two views of a volume."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from umzoo.backbones.base import Features
from umzoo.config import Config as Options
from umzoo.errors import ConfigError
from umzoo.fields import Fields, Rng
from umzoo.pretext.base import PretextContext, PretextTask
from umzoo.pretext.boxes import Boxes, cut, draw_boxes, require_ascending
from umzoo.pretext.corruptions import build_corruptions
from umzoo.pretext.labels import classification_metrics
from umzoo.pretext.projection import Projection, similarity
from umzoo.spec import ComponentSpec

Share = Annotated[float, Field(gt=0.5, le=1)]

CORRUPTIONS: tuple[Any, ...] = ({"name": "gamma", "p": 0.8}, {"name": "noise", "p": 0.5})


class Vox2Vec(PretextTask):
    """InfoNCE on features of voxels in two overlapping, resized and corrupted crops of each volume.

    The features of a voxel are the encoder's levels and the dense features, interpolated at its position and projected.
    The positive is the same voxel in the other view; negatives are the other voxels in the batch of the same process.
    Metrics: ``accuracy``, the fraction of voxels whose nearest neighbor is the positive, and ``chance``.
    """

    name = "vox2vec"
    dense: ClassVar[bool] = True
    citations = (
        "Goncharov et al., vox2vec: A Framework for Self-supervised Contrastive Learning of Voxel-level Representations"
        " in Medical Images, MICCAI 2023",
    )

    class Config(Options):
        """Options of ``vox2vec``."""

        crop: tuple[Share, Share] = Field(
            (0.65, 1.0), description="minimum and maximum edge of a crop, as a fraction of the patch"
        )
        voxels: int = Field(128, ge=2, description="sampled voxels per volume")
        corruptions: tuple[ComponentSpec, ...] = Field(CORRUPTIONS, description="corruptions of each view, in order")
        temperature: float = Field(0.1, gt=0, description="temperature of the similarities")
        hidden: int = Field(128, ge=1, description="channels of the projection's hidden layer")
        dim: int = Field(64, ge=1, description="length of the embedding")

    config: Config

    def __init__(self, config: Any, context: PretextContext) -> None:
        super().__init__(config, context)
        require_ascending("vox2vec.crop", self.config.crop)
        self.corruptions = build_corruptions(self.config.corruptions, "pretext.tasks.vox2vec.corruptions")
        info = context.backbone
        channels = sum(level.channels for level in info.levels) + (info.decoder_channels or 0)
        self.head = Projection(channels, self.config.hidden, self.config.dim, centered=True)

    def views(self, batch: Fields, rng: Rng) -> Fields:
        """Return both views, concatenated to ``(2 * B, C, D, H, W)``, and ``voxels`` ``(2 * B, V, 3)``.

        ``voxels`` are coordinates from -1 to 1 in each view along W, H and D, as in ``grid_sample``.
        """
        image = batch["image"]
        first, second = (draw_boxes(len(image), self.config.crop, rng.fork(i)) for i in (0, 1))
        crops = torch.cat((cut(image, *first), cut(image, *second)))
        corrupted, _, _ = self.corruptions(crops, rng.fork(2))
        places = common_places(first, second, rng.fork(3).uniform((len(image), self.config.voxels, 3)))
        voxels = [(places - center[:, None]) / half[:, None] for half, center in (first, second)]
        return {"image": corrupted, "voxels": torch.cat(voxels)}

    def loss(self, features: Features, views: Fields) -> Tensor:
        """Return InfoNCE over the ``2 * B * V`` voxels."""
        if features.dense is None:
            raise ConfigError("vox2vec needs dense features: call the backbone with dense=True")
        maps = (*features.levels, features.dense)
        described = torch.cat([at(level, views["voxels"]) for level in maps], dim=-1)
        first, second = self.head(described.flatten(0, 1)).chunk(2)
        logits = similarity(first, second) / self.config.temperature
        partner = torch.arange(len(first), device=logits.device)
        self.metrics |= classification_metrics(logits, partner)
        return (functional.cross_entropy(logits, partner) + functional.cross_entropy(logits.T, partner)) / 2


def common_places(first: Boxes, second: Boxes, unit: Tensor) -> Tensor:
    """Map *unit* ``(B, V, 3)`` in [0, 1] to positions in the intersection of both boxes of each item."""
    (half, center), (other_half, other_center) = first, second
    low = torch.maximum(center - half, other_center - other_half)
    high = torch.minimum(center + half, other_center + other_half)
    return low[:, None] + (high - low)[:, None] * unit


def at(level: Tensor, voxels: Tensor) -> Tensor:
    """Interpolate *level* ``(B, C, D, H, W)`` at *voxels* ``(B, V, 3)``: ``(B, V, C)`` in float32."""
    grid = voxels[:, :, None, None, :]
    found = functional.grid_sample(level.float(), grid.float(), padding_mode="border", align_corners=False)
    return found[:, :, :, 0, 0].transpose(1, 2)
