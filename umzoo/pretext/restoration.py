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


class Restoration(PretextTask):
    """A 1x1x1 convolution on the dense map, judged in the backbone's input space.

    Metrics: ``psnr`` in dB over the range [0, 1], and ``identity``, the loss of answering the corrupted input.
    """

    name = "restoration"
    dense: ClassVar[bool] = True
    citations = ("Zhou et al., Models Genesis, Medical Image Analysis 67, 2021", UNIVERSAL_MODEL)

    class Config(Options):
        """Options of the restoration task."""

        loss: Literal["mse", "l1"] = Field("mse", description="distance between answer and clean sub-volume")

    config: Config

    def __init__(self, config: Any, context: PretextContext) -> None:
        super().__init__(config, context)
        self.head = nn.Conv3d(context.backbone.decoder_channels or 0, context.backbone.in_channels, 1)

    def predict(self, features: Features) -> Tensor:
        """Return the restored image ``(B, C, D, H, W)`` in the backbone's input space."""
        if features.dense is None:
            raise ValueError("restoration needs the dense map: call the backbone with dense=True")
        answer: Tensor = self.head(features.dense)
        return answer.sigmoid() if self.context.backbone.input_space == "unit" else answer

    def loss(self, features: Features, views: Fields) -> Tensor:
        """Return the mean distance to ``views["clean"]`` in the backbone's input space."""
        answer, target = self.predict(features).float(), views["clean_input"].float()
        with torch.no_grad():
            self.metrics["identity"] = self._distance(views["input"].float(), target)
            self.metrics["psnr"] = self._psnr(answer, target, views)
        return self._distance(answer, target)

    def pictures(self, features: Features, views: Fields) -> Fields:
        """What was clean, seen, and restored."""
        return {**super().pictures(features, views), "restored": self.to_unit(self.predict(features), views)}

    def _distance(self, answer: Tensor, target: Tensor) -> Tensor:
        return functional.mse_loss(answer, target) if self.config.loss == "mse" else functional.l1_loss(answer, target)

    def _psnr(self, answer: Tensor, target: Tensor, views: Fields) -> Tensor:
        """Per-item PSNR ``(B,)`` in dB; the input space is an affine map of [0, 1]."""
        error = (answer - target).square().mean(dim=(1, 2, 3, 4))
        if self.context.backbone.input_space == "zscore":
            error = error * views["std"].square()
        return -10 * torch.log10(error.clamp_min(1e-10))
