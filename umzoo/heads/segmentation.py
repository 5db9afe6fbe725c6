"""A class per voxel."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from umzoo import config
from umzoo.backbones.base import BackboneInfo, Features
from umzoo.errors import ConfigError
from umzoo.heads.base import Head


class Segmentation(Head):
    """A 1x1x1 convolution on the dense map, as nnU-Net's ``seg_layers``."""

    name = "segmentation"
    dense = True

    class Config(config.Config):
        """Options."""

        classes: int = Field(2, ge=1, description="classes, background included")

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info)
        if info.decoder_channels is None:
            raise ConfigError("head 'segmentation' needs a backbone with a decoder, this one has none")
        self.layer = nn.Conv3d(info.decoder_channels, config.classes, 1)

    def forward(self, features: Features) -> Tensor:
        """Return logits ``(B, classes, D, H, W)``."""
        if features.dense is None:
            raise ConfigError("head 'segmentation' needs the dense map: call the backbone with dense=True")
        logits: Tensor = self.layer(features.dense)
        return logits
