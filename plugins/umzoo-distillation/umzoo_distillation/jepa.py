"""JEPA in 3D (I-JEPA, Assran et al., CVPR 2023): predict a teacher's features of cells that were hidden."""

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
    """From a patch with boxes hidden, predict the coarsest features that a moving average of the network has of them.

    Hidden voxels are set to the mean of their volume, so any encoder can be trained; features are normalized over the
    channels of each cell. Metrics: ``mean``, the loss of the mean of the hidden cells' features; ``explained``, the
    share of it that is predicted; ``spread``, the deviation of the teacher's features over cells, which is 0 when it
    has collapsed.
    """

    name = "jepa"
    citations = (
        "Assran et al., Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture, CVPR 2023",
    )

    class Config(umzoo.Config):
        """Options of ``jepa``."""

        boxes: int = Field(4, ge=1, description="hidden boxes of each patch, which may overlap")
        hidden: tuple[Share, Share] = Field((0.3, 0.5), description="least and greatest edge of a box, of the grid's")
        momentum: float = Field(0.99, ge=0, lt=1, description="what the teacher keeps of itself in the first steps")
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
                f"jepa hides cells of the coarsest level, of which data.patch_size {context.patch_size} has one:"
                " make the patch larger"
            )
        self.predictor = Predictor(level.channels, self.config.width, self.config.depth)
        self.progress = 0.0

    def bind(self, backbone: umzoo.Backbone) -> None:
        """Copy the network, which the teacher begins with."""
        self.teacher = Teacher(backbone)

    def after_step(self, backbone: umzoo.Backbone) -> None:
        """Let the teacher follow."""
        self.teacher.follow(backbone, momentum_at(self.progress, self.config.momentum))

    def exported(self, backbone: umzoo.Backbone) -> umzoo.Backbone:
        """Return the teacher, as I-JEPA evaluates it."""
        network: umzoo.Backbone = self.teacher.network  # type: ignore[assignment]
        return network

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Return ``image`` with ``hidden`` cells ``(B, d, h, w)``, and ``clean``."""
        clean, options = batch["image"], self.config
        hidden = draw_boxes_of_cells(len(clean), self.grid, options.boxes, options.hidden, rng)
        return {"image": hide(clean, hidden, batch["mean"]), "clean": clean, "hidden": hidden}

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return the smooth L1 distance of predicted and true features over hidden cells."""
        self.progress, hidden = float(views["progress"]), views["hidden"].unsqueeze(1)
        with torch.no_grad():
            target = normalized(self.teacher.network(views["clean_input"]).levels[-1].float())
            spread = target.std((0, 2, 3, 4)).mean()
            mean = distance(hidden_mean(target, hidden), target, hidden)
        loss = distance(self.predictor(features.levels[-1], hidden), target, hidden)
        self.metrics |= {"mean": mean, "explained": 1 - loss.detach() / mean, "spread": spread}
        return loss


class Predictor(nn.Module):
    """Residual convolutions over the coarsest map, in whose hidden cells a learned vector stands."""

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
    """Give each cell of *level* ``(B, C, d, h, w)`` mean 0 and deviation 1 over its channels."""
    return functional.layer_norm(level.movedim(1, -1), level.shape[1:2]).movedim(-1, 1)


def hidden_mean(target: Tensor, hidden: Tensor) -> Tensor:
    """Mean of the *hidden* cells of all items, by channel, as large as *target*."""
    axes = (0, 2, 3, 4)
    return ((target * hidden).sum(axes, keepdim=True) / hidden.sum()).expand_as(target)


def distance(answer: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """Mean smooth L1 distance over the *hidden* cells."""
    lost = functional.smooth_l1_loss(answer, target, reduction="none").mean(1, keepdim=True)
    return (lost * hidden).sum() / hidden.sum()
