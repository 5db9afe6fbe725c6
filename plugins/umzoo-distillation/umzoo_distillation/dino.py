"""DINO (Caron et al., ICCV 2021) with the masks of iBOT (Zhou et al., ICLR 2022), on boxes of several scales."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import umzoo
from umzoo.data.loading.intensity import enter
from umzoo.pretext.boxes import cut, draw_boxes, require_ascending
from umzoo.pretext.projection import Projection, similarity
from umzoo_distillation.teacher import Teacher, draw_boxes_of_cells, hide, momentum_at

Share = Annotated[float, Field(gt=0, le=1)]
CORRUPTIONS = ({"name": "gamma", "p": 0.8}, {"name": "noise", "p": 0.5})
GLOBAL = 2
"""Number of crops for the teacher."""


class Head(nn.Module):
    """Maps features to scores of prototypes: a projection, and cosines to learned directions."""

    def __init__(self, channels: int, hidden: int, dim: int, prototypes: int) -> None:
        super().__init__()
        self.projection = Projection(channels, hidden, dim, centered=True)
        self.prototypes = nn.Parameter(torch.randn(prototypes, dim))

    def forward(self, rows: Tensor) -> Tensor:
        """Map ``(n, channels)`` to cosines ``(n, prototypes)``."""
        return similarity(self.projection(rows), self.prototypes)


class DINO(umzoo.PretextTask):
    """Trains the student's distribution over prototypes, for any crop, to match the teacher's for another large crop.

    The teacher, a moving average of the student, gets two large crops of each volume. The student gets these with
    masked cells, and small crops. For masked cells, it also predicts the teacher's distribution of the cell (iBOT).

    Metrics: ``crop_loss``, the part of the loss that comes from crops; ``baseline``, what it would be if every crop got
    the teacher's mean distribution; ``sharpness`` of the teacher's distributions, from 0 (uniform) to 1; and ``usage``,
    the entropy of their mean relative to the maximum. A collapse shows as ``sharpness`` or ``usage`` near 0.
    """

    name = "dino"
    citations = (
        "Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021",
        "Zhou et al., iBOT: Image BERT Pre-Training with Online Tokenizer, ICLR 2022",
    )

    class Config(umzoo.Config):
        """Options of ``dino``."""

        large: tuple[Share, Share] = Field(
            (0.6, 1.0), description="minimum and maximum edge of a large crop, as a fraction of the patch"
        )
        small: tuple[Share, Share] = Field(
            (0.25, 0.6), description="minimum and maximum edge of a small crop, as a fraction of the patch"
        )
        crops: int = Field(4, ge=0, description="small crops per volume")
        hidden_boxes: int = Field(4, ge=1, description="masked boxes of cells in each large crop")
        hidden: tuple[Share, Share] = Field(
            (0.2, 0.4), description="minimum and maximum edge of a masked box, as a fraction of the grid"
        )
        cells: float = Field(1.0, ge=0, description="weight of the loss of masked cells (iBOT); 0: no masks")
        corruptions: tuple[umzoo.ComponentSpec, ...] = Field(
            CORRUPTIONS, description="corruptions of each crop, in order"
        )
        prototypes: int = Field(512, ge=2, description="prototypes: output units of the projection head")
        temperature: float = Field(0.1, gt=0, description="temperature of the student")
        teacher_temperature: float = Field(0.05, gt=0, description="temperature of the teacher, which should be lower")
        momentum: float = Field(0.99, ge=0, lt=1, description="initial momentum of the teacher, which increases to 1")
        centering: float = Field(0.9, ge=0, lt=1, description="momentum of the center of the teacher's scores")
        width: int = Field(512, ge=1, description="channels of the projection's hidden layer")
        dim: int = Field(128, ge=1, description="length of the embedding")

    config: Config

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        for name in ("large", "small", "hidden"):
            require_ascending(f"dino.{name}", getattr(self.config, name))
        level = context.backbone.levels[-1]
        self.grid = tuple(n // s for n, s in zip(context.patch_size, level.stride, strict=True))
        self.masks = self.config.cells > 0 and math.prod(self.grid) > 1
        self.local = context.backbone.nearest_size(tuple(max(1, n // 2) for n in context.patch_size))
        self.corruptions = umzoo.build_corruptions(self.config.corruptions, "pretext.tasks.dino.corruptions")
        sizes = self.config.width, self.config.dim, self.config.prototypes
        self.heads = nn.ModuleList(Head(level.channels, *sizes) for _ in range(2 if self.masks else 1))
        self.register_buffer("centers", torch.zeros(len(self.heads), self.config.prototypes))
        self.progress = 0.0

    def bind(self, backbone: umzoo.Backbone) -> None:
        """Initialize the teacher with copies of the network and the heads."""
        self.teacher = Teacher(nn.ModuleList((backbone, *self.heads)))

    def after_step(self, backbone: umzoo.Backbone) -> None:
        """Update the teacher."""
        students = nn.ModuleList((backbone, *self.heads))
        self.teacher.follow(students, momentum_at(self.progress, self.config.momentum))

    def exported(self, backbone: umzoo.Backbone) -> umzoo.Backbone:
        """Return the teacher, as in DINO's released weights."""
        network: umzoo.Backbone = self.teacher.network[0]  # type: ignore[index,assignment]
        return network

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Return two large crops of each item, ``(2 * B, C, D, H, W)``, ``hidden`` cells, and ``small`` crops."""
        options, image = self.config, batch["image"]
        large = self._crops(image, GLOBAL, options.large, rng.fork(0))
        views = {"image": large}
        if self.masks:
            shares = options.hidden
            views["hidden"] = draw_boxes_of_cells(len(large), self.grid, options.hidden_boxes, shares, rng.fork(1))
        if options.crops:
            small = self._crops(image, options.crops, options.small, rng.fork(2))
            views["small"] = functional.interpolate(small, self.local, mode="trilinear")
        return views

    def _crops(self, image: Tensor, count: int, shares: tuple[float, float], rng: umzoo.Rng) -> Tensor:
        many = image.repeat(count, 1, 1, 1, 1)
        corrupted, _, _ = self.corruptions(cut(many, *draw_boxes(len(many), shares, rng.fork(0))), rng.fork(1))
        return corrupted

    def features(self, backbone: umzoo.Backbone, views: umzoo.Fields) -> umzoo.Features:
        """Return features of masked large crops, then small crops; ``levels`` are those of large crops only."""
        seen, space = views["image"], self.context.backbone.input_space
        if self.masks:
            seen = hide(seen, views["hidden"], views["mean"].repeat(GLOBAL))
        large: umzoo.Features = backbone(enter(seen, views, space))
        pooled = [large.pooled]
        if "small" in views:
            pooled.append(backbone(enter(views["small"], views, space)).pooled)
        return umzoo.Features(large.levels, None, torch.cat(pooled))

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return the cross entropy with the teacher's distributions, of crops and of masked cells."""
        self.progress = float(views["progress"])
        backbone, *heads = self.teacher.network
        with torch.no_grad():
            known = backbone(views["input"])
            scores = heads[0](known.pooled)
            target = self._targets(scores, 0)
        predicted = self._log_probabilities(self.heads[0](features.pooled)).chunk(GLOBAL + self.config.crops)
        pairs = [(t, s) for t in range(GLOBAL) for s in range(len(predicted)) if s != t]
        crop_loss = torch.stack([-(target.chunk(GLOBAL)[t] * predicted[s]).sum(1).mean() for t, s in pairs]).mean()
        self._measure(target)
        self.metrics["crop_loss"] = crop_loss.detach()
        if not self.masks:
            return crop_loss
        hidden = views["hidden"].flatten()
        with torch.no_grad():
            cell_target = self._targets(heads[1](_rows(known.levels[-1])), 1)
        cell_predicted = self._log_probabilities(self.heads[1](_rows(features.levels[-1])))
        cell_losses = -(cell_target * cell_predicted).sum(1)
        return crop_loss + self.config.cells * (cell_losses * hidden).sum() / hidden.sum()

    def _log_probabilities(self, cosines: Tensor) -> Tensor:
        return (cosines / self.config.temperature).log_softmax(1)

    def _targets(self, cosines: Tensor, number: int) -> Tensor:
        """Return the teacher's centered distributions; in training, update the center."""
        center = self.centers[number]  # type: ignore[index]
        target = ((cosines - center) / self.config.teacher_temperature).softmax(1)
        if self.training:
            center.lerp_(_mean_of_all(cosines), 1 - self.config.centering)
        return target

    def _measure(self, target: Tensor) -> None:
        most = math.log(self.config.prototypes)
        mean = target.mean(0)
        baseline = torch.special.entr(mean).sum()
        sharpness = 1 - torch.special.entr(target).sum(1).mean() / most
        self.metrics |= {"baseline": baseline, "usage": baseline / most, "sharpness": sharpness}


def _rows(level: Tensor) -> Tensor:
    """Reshape a map ``(B, C, d, h, w)`` to rows of cells ``(B * d * h * w, C)``."""
    return level.movedim(1, -1).flatten(0, -2)


def _mean_of_all(rows: Tensor) -> Tensor:
    """Return the mean of *rows* over all processes."""
    mean = rows.mean(0)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(mean)
        mean /= torch.distributed.get_world_size()
    return mean
