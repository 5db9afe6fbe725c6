"""Restoration of a clean sub-volume from its corrupted view (Models Genesis; Universal Model, arXiv 2010.06107)."""

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
"""Minimum difference in the input space of an altered voxel."""
FLAT = 0.05
"""Minimum standard deviation by which patches are divided, so that noise in flat patches is not amplified."""


class Restoration(PretextTask):
    """A 1x1x1 convolution on the dense features, with a loss in the backbone's input space.

    Instance norms remove mean and standard deviation of a patch, so networks with them can hardly predict absolute
    intensities. With ``target = "patch"``, the clean patch is standardized by its own mean and standard deviation, as
    in the masked autoencoder of He et al. (CVPR 2022).

    Metrics: ``psnr`` in dB over the range [0, 1]; ``explained``, the explained variance within the clean patches; and
    ``explained_altered``, the same over altered voxels only. Both are 0 for the baseline that predicts the mean of each
    clean patch, whose loss is ``mean``. ``identity`` is the loss of the unchanged corrupted input. Painting makes
    ``identity`` large; the smaller of both losses is the baseline.
    """

    name = "restoration"
    dense: ClassVar[bool] = True
    citations = ("Zhou et al., Models Genesis, Medical Image Analysis 67, 2021", UNIVERSAL_MODEL)

    class Config(Options):
        """Options of the restoration task."""

        loss: Literal["mse", "l1"] = Field("mse", description="distance between prediction and clean sub-volume")
        target: Literal["volume", "patch"] = Field(
            "volume",
            description="intensity normalization of the target: by statistics of the whole volume, or of the clean"
            " patch, for networks with instance norm",
        )

    config: Config

    def __init__(self, config: Any, context: PretextContext) -> None:
        super().__init__(config, context)
        self.head = nn.Conv3d(context.backbone.decoder_channels or 0, context.backbone.in_channels, 1)

    def predict(self, features: Features) -> Tensor:
        """Return the prediction ``(B, C, D, H, W)``, in the backbone's input space or standardized by patch."""
        if features.dense is None:
            raise ValueError("restoration needs dense features: call the backbone with dense=True")
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
        """Return clean, corrupted and restored images."""
        shift, scale = self._frame(views["clean_input"].float())
        restored = self.to_unit(self.predict(features).float() * scale + shift, views)
        return {**super().pictures(features, views), "restored": restored}

    def _frame(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Return shift and scale ``(B, 1, 1, 1, 1)`` that convert predictions to the input space."""
        axes = (1, 2, 3, 4)
        shift, scale = clean.mean(axes, keepdim=True), clean.std(axes, keepdim=True).clamp_min(FLAT)
        patch = self.config.target == "patch"
        return (shift, scale) if patch else (torch.zeros_like(shift), torch.ones_like(scale))

    def _references(self, answer: Tensor, target: Tensor, seen: Tensor) -> Fields:
        """Return the losses of the baselines, and the explained variances."""
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
