"""Distillation of the features of another network of the zoo, such as a larger one."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import umzoo
from umzoo.data.loading.intensity import enter
from umzoo.errors import ConfigError


class Distillation(umzoo.PretextTask):
    """Aligns the coarsest features, after a linear map, with those of the teacher by cosine (FitNets' hints).

    The teacher's features are standardized by channel over the batch, because their mean dominates cosines of raw
    features. The student gets the recipe's corrupted view, the teacher the clean one. Metric: the mean ``cosine``,
    which is 0 for any constant prediction.
    """

    name = "distillation"
    citations = (
        "Hinton et al., Distilling the Knowledge in a Neural Network, arXiv:1503.02531, 2015",
        "Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015",
    )

    class Config(umzoo.Config):
        """Options of ``distillation``."""

        teacher: str = Field(description="weights of the teacher: a folder, org/name[@revision], or architecture.tag")

    config: Config

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        teacher = umzoo.from_pretrained(self.config.teacher, head=False).requires_grad_(False).eval()
        student = context.backbone
        if teacher.info.in_channels != student.in_channels:
            raise ConfigError(
                f"the teacher '{self.config.teacher}' has {teacher.info.in_channels} input channels, the backbone"
                f" {student.in_channels}: choose a teacher with equal channels"
            )
        if (size := teacher.info.nearest_size(context.patch_size)) != context.patch_size:
            raise ConfigError(
                f"the teacher '{self.config.teacher}' does not support patches of {context.patch_size}: change"
                f" data.patch_size, the nearest is {size}"
            )
        self.teacher = teacher
        self.map = nn.Conv3d(student.levels[-1].channels, teacher.info.levels[-1].channels, 1)

    def train(self, mode: bool = True) -> Distillation:
        """Set the mode of all modules except the teacher, which stays in eval mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return one minus the mean cosine of mapped features and standardized teacher's features, over cells."""
        answer = self.map(features.levels[-1]).float()
        clean = enter(views["clean"], views, self.teacher.info.input_space)
        with torch.no_grad():
            target = centered(resized(self.teacher(clean).levels[-1].float(), answer.shape[2:]))
        cosine = functional.cosine_similarity(answer, target, dim=1).mean()
        self.metrics["cosine"] = cosine
        return 1 - cosine


def resized(level: Tensor, size: torch.Size) -> Tensor:
    """Resize *level* ``(B, C, d, h, w)`` to *size*: by averaging if cells get larger, else by interpolation."""
    fewer = [min(a, b) for a, b in zip(level.shape[2:], size, strict=True)]
    pooled = functional.adaptive_avg_pool3d(level, fewer)
    return functional.interpolate(pooled, size, mode="trilinear") if pooled.shape[2:] != size else pooled


def centered(level: Tensor) -> Tensor:
    """Standardize each channel of *level* ``(B, C, d, h, w)`` over items and cells."""
    axes = (0, 2, 3, 4)
    spread = level.std(axes, correction=0, keepdim=True).clamp_min(1e-6)
    return (level - level.mean(axes, keepdim=True)) / spread
