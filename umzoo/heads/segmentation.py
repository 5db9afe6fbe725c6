"""Segmentation: class logits per voxel."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from umzoo import config
from umzoo.backbones.base import BackboneInfo, Features
from umzoo.errors import ConfigError
from umzoo.heads.base import Head


class Segmentation(Head):
    """A 1x1x1 convolution on dense features, as nnU-Net's ``seg_layers``; with ``levels``, also on encoder levels.

    After pre-training by restoration, dense features often hold little more than the image, and the encoder's levels
    hold more. Their logits are upsampled and added to those of the dense features, which equals one convolution on all
    of them (hypercolumns, Hariharan et al., CVPR 2015).
    """

    name = "segmentation"
    dense = True

    class Config(config.Config):
        """Options."""

        classes: int = Field(2, ge=1, description="number of classes, including the background")
        levels: bool = Field(False, description="segment from the encoder levels in addition to the dense features")

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info)
        if info.decoder_channels is None:
            raise ConfigError("head 'segmentation' needs a backbone with a decoder, got one without: choose another")
        self.layer = nn.Conv3d(info.decoder_channels, config.classes, 1)
        read = info.levels if config.levels else ()
        self.levels = nn.ModuleList(nn.Conv3d(level.channels, config.classes, 1, bias=False) for level in read)

    def forward(self, features: Features) -> Tensor:
        """Return logits ``(B, classes, D, H, W)``."""
        if features.dense is None:
            raise ConfigError("head 'segmentation' needs dense features: call the backbone with dense=True")
        logits: Tensor = self.layer(features.dense)
        for layer, level in zip(self.levels, features.levels, strict=False):
            found = layer(level)
            if found.shape != logits.shape:
                found = functional.interpolate(found, logits.shape[2:], mode="trilinear")
            logits = logits + found
        return logits
