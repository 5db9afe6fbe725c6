"""The 3D U-Net of Models Genesis (Zhou et al., MICCAI 2019), with the parameter names of its released checkpoint."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from umzoo.backbones.base import Backbone, BackboneInfo, Level
from umzoo.config import Config


class GenesisConfig(Config):
    """Options of ``genesis_unet``."""

    in_channels: int = Field(1, ge=1, description="channels of the input")
    width: int = Field(32, ge=1, description="channels of the first convolution; 32 is the published network")
    batch_statistics: bool = Field(
        False,
        description="use batch statistics also in eval mode, as the original always does, so that outputs depend on the"
        " rest of the batch; false gives ordinary batch norm",
    )


class BatchNorm(nn.BatchNorm3d):
    """Batch norm that can use batch statistics also in eval mode (ContBatchNorm3d of the original)."""

    def __init__(self, channels: int, batch_statistics: bool) -> None:
        super().__init__(channels)
        self.batch_statistics = batch_statistics

    def forward(self, input: Tensor) -> Tensor:
        """Normalize *input* ``(B, C, D, H, W)``; running statistics are updated in training only."""
        if self.training or not self.batch_statistics:
            return super().forward(input)
        return functional.batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)


class ConvBlock(nn.Module):
    """3x3x3 convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, batch_statistics: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, out_channels, 3, padding=1)
        self.bn1 = BatchNorm(out_channels, batch_statistics)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in, D, H, W)`` to ``(B, out, D, H, W)``."""
        return functional.relu(self.bn1(self.conv1(x)), inplace=True)


class Down(nn.Module):
    """Two blocks at one resolution."""

    def __init__(self, in_channels: int, middle: int, out_channels: int, batch_statistics: bool) -> None:
        super().__init__()
        self.ops = nn.Sequential(
            ConvBlock(in_channels, middle, batch_statistics), ConvBlock(middle, out_channels, batch_statistics)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in, D, H, W)`` to ``(B, out, D, H, W)``."""
        out: Tensor = self.ops(x)
        return out


class Up(nn.Module):
    """Upsampling by 2, concatenation with the skip connection, and two blocks."""

    def __init__(self, in_channels: int, skip: int, batch_statistics: bool) -> None:
        super().__init__()
        self.up_conv = nn.ConvTranspose3d(in_channels, in_channels, 2, stride=2)
        self.ops = nn.Sequential(
            ConvBlock(in_channels + skip, skip, batch_statistics), ConvBlock(skip, skip, batch_statistics)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map *x* ``(B, in, D/2, H/2, W/2)`` and *skip* ``(B, skip, D, H, W)`` to the shape of *skip*."""
        out: Tensor = self.ops(torch.cat((self.up_conv(x), skip), dim=1))
        return out


class GenesisUNet(Backbone):
    """The 3D U-Net of Models Genesis without its last 1x1x1 convolution, the restoration head.

    ``encoder.down_tr64.*`` and ``decoder.up_tr256.*`` are ``down_tr64.*`` and ``up_tr256.*`` of the released
    checkpoint (MrGiovanni/ModelsGenesis, pytorch/unet3d.py); the names stay the same for other widths.
    Input is in [0, 1].
    """

    name = "genesis_unet"
    Config = GenesisConfig
    image_kernels = ("encoder.down_tr64.ops.0.conv1.weight",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        width, batch = self.config.width, self.config.batch_statistics
        n1, n2, n3, n4 = (2 * width, 4 * width, 8 * width, 16 * width)
        self.encoder = nn.ModuleDict(
            {
                "down_tr64": Down(self.config.in_channels, width, n1, batch),
                "down_tr128": Down(n1, n1, n2, batch),
                "down_tr256": Down(n2, n2, n3, batch),
                "down_tr512": Down(n3, n3, n4, batch),
            }
        )
        self.decoder = nn.ModuleDict(
            {"up_tr256": Up(n4, n3, batch), "up_tr128": Up(n3, n2, batch), "up_tr64": Up(n2, n1, batch)}
        )
        self.info = BackboneInfo(
            in_channels=self.config.in_channels,
            levels=tuple(Level(n, (2**i, 2**i, 2**i)) for i, n in enumerate((n1, n2, n3, n4))),
            decoder_channels=n1,
            input_space="unit",
            divisor=(8, 8, 8),
            least_voxels=2,
        )

    @property
    def caution(self) -> str:
        """Warning that outputs depend on the batch, with the remedy."""
        if not self.config.batch_statistics:
            return ""
        return (
            "batch_statistics is on, so outputs depend on the rest of the batch:"
            " call umzoo.backbones.recalibrate.recalibrate(model, images) to make them independent of it"
        )

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return four levels of *image* ``(B, C, D, H, W)``, strides 1, 2, 4 and 8."""
        self.check_input(image)
        levels: list[Tensor] = []
        for stage in self.encoder.values():
            levels.append(stage(functional.max_pool3d(levels[-1], 2) if levels else image))
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, 2 * width, D, H, W)`` of *levels*."""
        x = levels[-1]
        for stage, skip in zip(self.decoder.values(), reversed(levels[:-1]), strict=True):
            x = stage(x, skip)
        return x
