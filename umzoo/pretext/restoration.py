"""Restore the clean sub-volume from its corrupted view (Models Genesis; Universal Model, arXiv 2010.06107)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from umzoo.backbones.base import Features
from umzoo.config import Config as Options
from umzoo.fields import Fields
from umzoo.pretext.base import UNIVERSAL_MODEL, PretextContext, PretextTask
from umzoo.pretext.variance import explained

ALTERED = 1e-4
"""Difference in the input space from which on a voxel counts as altered."""
FLAT = 0.05
"""Deviation below which a patch counts as flat: its noise is not blown up."""


class Restoration(PretextTask):
    """A 1x1x1 convolution on the dense map, judged in the backbone's input space.

    An instance norm takes mean and deviation of a patch away, so a network of such norms can hardly answer the gray
    levels of the volume. With ``target = "patch"`` the clean patch is standardized by its own mean and deviation, as in
    the masked autoencoder of He et al. (CVPR 2022).

    Metrics: ``psnr`` in dB over the range [0, 1]; ``explained``, the share of the variance within the clean patches
    that the answer explains, and ``explained_altered``, the same over the voxels that were altered alone. Both are 0
    for a network that answers the mean of each clean patch, whose loss is ``mean``. ``identity`` is the loss of the
    corrupted input as it is. Painted noise makes that one large: only where it is the smaller is it what to beat.
    """

    name = "restoration"
    dense: ClassVar[bool] = True
    citations = ("Zhou et al., Models Genesis, Medical Image Analysis 67, 2021", UNIVERSAL_MODEL)

    class Config(Options):
        """Options of the restoration task."""

        loss: Literal["mse", "l1"] = Field("mse", description="distance between answer and clean sub-volume")
        target: Literal["volume", "patch"] = Field(
            "volume",
            description="gray levels of the answer: by the statistics of the whole volume, or by those of the clean"
            " patch, which a network with instance norm can know",
        )

    config: Config

    def __init__(self, config: Any, context: PretextContext) -> None:
        super().__init__(config, context)
        self.head = nn.Conv3d(context.backbone.decoder_channels or 0, context.backbone.in_channels, 1)

    def predict(self, features: Features) -> Tensor:
        """Return the answer ``(B, C, D, H, W)``, in the backbone's input space or standardized by patch."""
        if features.dense is None:
            raise ValueError("restoration needs the dense map: call the backbone with dense=True")
        answer: Tensor = self.head(features.dense)
        bounded = self.context.backbone.input_space == "unit" and self.config.target == "volume"
        return answer.sigmoid() if bounded else answer

    def loss(self, features: Features, views: Fields) -> Tensor:
        """Return the mean distance to ``views["clean_input"]``."""
        answer, clean = self.predict(features).float(), views["clean_input"].float()
        shift, scale = self._frame(clean)
        target = (clean - shift) / scale
        with torch.no_grad():
            self.metrics |= self._references(answer, target, (views["input"].float() - shift) / scale)
            self.metrics["psnr"] = self._psnr(answer * scale + shift, clean, views)
        return self._distance(answer, target)

    def pictures(self, features: Features, views: Fields) -> Fields:
        """What was clean, seen, and restored."""
        shift, scale = self._frame(views["clean_input"].float())
        restored = self.to_unit(self.predict(features).float() * scale + shift, views)
        return {**super().pictures(features, views), "restored": restored}

    def _frame(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Return shift and scale ``(B, 1, 1, 1, 1)`` from answers to the input space."""
        axes = (1, 2, 3, 4)
        shift, scale = clean.mean(axes, keepdim=True), clean.std(axes, keepdim=True).clamp_min(FLAT)
        patch = self.config.target == "patch"
        return (shift, scale) if patch else (torch.zeros_like(shift), torch.ones_like(scale))

    def _references(self, answer: Tensor, target: Tensor, seen: Tensor) -> Fields:
        """Return what the loss is to be compared with, and the shares of variance explained."""
        mean = target.mean(dim=(1, 2, 3, 4), keepdim=True).expand_as(target)
        return {
            "mean": self._distance(mean, target),
            "identity": self._distance(seen, target),
            "explained": explained(answer, target, mean),
            "explained_altered": explained(answer, target, mean, (seen - target).abs() > ALTERED),
        }

    def _distance(self, answer: Tensor, target: Tensor) -> Tensor:
        return functional.mse_loss(answer, target) if self.config.loss == "mse" else functional.l1_loss(answer, target)

    def _psnr(self, answer: Tensor, target: Tensor, views: Fields) -> Tensor:
        """Per-item PSNR ``(B,)`` in dB; the input space is an affine map of [0, 1]."""
        error = (answer - target).square().mean(dim=(1, 2, 3, 4))
        if self.context.backbone.input_space == "zscore":
            error = error * views["std"].square()
        return -10 * torch.log10(error.clamp_min(1e-10))
