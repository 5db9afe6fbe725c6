"""JEPA in 3D (I-JEPA, Assran et al., CVPR 2023): predicts a teacher's features of masked cells."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import umzoo
from umzoo.errors import ConfigError
from umzoo.pretext.boxes import require_ascending
from umzoo_distillation.teacher import Teacher, draw_boxes_of_cells, hide, momentum_at

Share = Annotated[float, Field(gt=0, le=1)]


class JEPA(umzoo.PretextTask):
    """Predicts the coarsest features of masked boxes, computed by a moving average of the network (teacher).

    Masked voxels are set to the mean of their volume, so any encoder can be trained. Features are normalized over the
    channels of each cell. Metrics: ``mean``, the loss of predicting the mean of the masked cells' features;
    ``explained``, the reduction of the loss relative to it; and ``spread``, the standard deviation of the teacher's
    features over cells, which is 0 after a collapse.
    """

    name = "jepa"
    citations = (
        "Assran et al., Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture, CVPR 2023",
    )

    class Config(umzoo.Config):
        """Options of ``jepa``."""

        boxes: int = Field(4, ge=1, description="masked boxes per patch, which may overlap")
        hidden: tuple[Share, Share] = Field(
            (0.3, 0.5), description="minimum and maximum edge of a masked box, as a fraction of the grid"
        )
        momentum: float = Field(0.99, ge=0, lt=1, description="initial momentum of the teacher, which increases to 1")
        width: int = Field(128, ge=1, description="channels of the predictor")
        depth: int = Field(2, ge=1, description="residual blocks of the predictor")

    config: Config

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        require_ascending("jepa.hidden", self.config.hidden)
        level = context.backbone.levels[-1]
        self.grid = tuple(n // s for n, s in zip(context.patch_size, level.stride, strict=True))
        if math.prod(self.grid) < 2:
            raise ConfigError(
                f"jepa needs two or more cells of the coarsest level, data.patch_size {context.patch_size} has one:"
                " make the patch larger"
            )
        self.predictor = Predictor(level.channels, self.config.width, self.config.depth)
        self.progress = 0.0

    def bind(self, backbone: umzoo.Backbone) -> None:
        """Initialize the teacher with a copy of the network."""
        self.teacher = Teacher(backbone)

    def after_step(self, backbone: umzoo.Backbone) -> None:
        """Update the teacher."""
        self.teacher.follow(backbone, momentum_at(self.progress, self.config.momentum))

    def exported(self, backbone: umzoo.Backbone) -> umzoo.Backbone:
        """Return the teacher, which I-JEPA evaluates too."""
        network: umzoo.Backbone = self.teacher.network  # type: ignore[assignment]
        return network

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Return the masked ``image``, ``hidden`` (masked) cells ``(B, d, h, w)``, and ``clean``."""
        clean, options = batch["image"], self.config
        hidden = draw_boxes_of_cells(len(clean), self.grid, options.boxes, options.hidden, rng)
        return {"image": hide(clean, hidden, batch["mean"]), "clean": clean, "hidden": hidden}

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return the smooth L1 distance between predicted and teacher's features over masked cells."""
        self.progress, hidden = float(views["progress"]), views["hidden"].unsqueeze(1)
        with torch.no_grad():
            target = normalized(self.teacher.network(views["clean_input"]).levels[-1].float())
            spread = target.std((0, 2, 3, 4)).mean()
            mean = distance(hidden_mean(target, hidden), target, hidden)
        loss = distance(self.predictor(features.levels[-1], hidden), target, hidden)
        self.metrics |= {"mean": mean, "explained": 1 - loss.detach() / mean, "spread": spread}
        return loss


class Predictor(nn.Module):
    """Residual convolutions on the coarsest level; a learned vector is added in masked cells."""

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.enter = nn.Conv3d(channels, width, 1)
        self.unknown = nn.Parameter(torch.zeros(width, 1, 1, 1))
        self.blocks = nn.ModuleList(_block(width) for _ in range(depth))
        self.leave = nn.Conv3d(width, channels, 1)

    def forward(self, level: Tensor, hidden: Tensor) -> Tensor:
        """Map ``(B, C, d, h, w)``, with *hidden* bool ``(B, 1, d, h, w)``, to the same shape."""
        x = self.enter(level)
        x = torch.where(hidden, x + self.unknown, x)
        for block in self.blocks:
            x = x + block(x)
        answer: Tensor = self.leave(x).float()
        return answer


def _block(width: int) -> nn.Module:
    return nn.Sequential(nn.GroupNorm(1, width), nn.Conv3d(width, width, 3, padding=1), nn.GELU())


def normalized(level: Tensor) -> Tensor:
    """Standardize each cell of *level* ``(B, C, d, h, w)`` over its channels."""
    return functional.layer_norm(level.movedim(1, -1), level.shape[1:2]).movedim(-1, 1)


def hidden_mean(target: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean of the *hidden* cells of all items by channel, expanded to the shape of *target*."""
    axes = (0, 2, 3, 4)
    return ((target * hidden).sum(axes, keepdim=True) / hidden.sum()).expand_as(target)


def distance(answer: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean smooth L1 distance over the *hidden* cells."""
    lost = functional.smooth_l1_loss(answer, target, reduction="none").mean(1, keepdim=True)
    return (lost * hidden).sum() / hidden.sum()
