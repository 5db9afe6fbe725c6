"""The 3D U-Net of convolutions, pooling and skip connections (Cicek et al., MICCAI 2016), as in anatomix and AMAES.

``encoder.stages.0.1.conv`` is the second convolution of the finest stage, ``decoder.stages.0`` the first one behind
the coarsest level.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from umzoo.backbones.base import Backbone, BackboneInfo, Level
from umzoo.backbones.unet3d_config import UNet3DConfig

POOLS = {"max": nn.MaxPool3d, "avg": nn.AvgPool3d}


class ConvNormAct(nn.Sequential):
    """3x3x3 convolution, norm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, config: UNet3DConfig) -> None:
        super().__init__()
        self.conv = _conv(inputs, outputs, config)
        options: dict[str, Any] = {"eps": config.norm_eps, "affine": config.norm_affine}
        kind = nn.BatchNorm3d if config.norm == "batch" else nn.InstanceNorm3d
        self.norm = kind(outputs, **options)
        self.act = nn.LeakyReLU(config.negative_slope, inplace=True)


class UNet3D(Backbone):
    """The 3D U-Net of Cicek et al.: convolutions, pooling, and skip connections, with the variants that others chose.

    Levels have strides 1, 2, 4, ...
    """

    name = "unet3d"
    Config = UNet3DConfig
    image_kernels = ("encoder.stages.0.0.conv.weight",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        widths, counts = self.config.features_per_stage, self.config.per_stage("n_conv_per_stage")
        inputs = (self.config.in_channels, *widths[:-1])
        stages = [self._stage(*it) for it in zip(inputs, widths, counts, strict=True)]
        self.encoder = nn.ModuleDict({"stages": nn.ModuleList(stages)})
        self.decoder = self._make_decoder()
        self.apply(_initialize)
        self.info = self._describe()

    def _make_decoder(self) -> nn.ModuleDict:
        widths, counts = self.config.features_per_stage, self.config.per_stage("n_conv_per_stage_decoder")
        below, beside = widths[:0:-1], widths[-2::-1]
        decoder = nn.ModuleDict()
        if self.config.upsampling == "transposed":
            upsamplers = [nn.ConvTranspose3d(a, b, 2, stride=2) for a, b in zip(below, beside, strict=True)]
            decoder["upsamplers"], below = nn.ModuleList(upsamplers), beside
        stages = [self._stage(a + b, b, count) for a, b, count in zip(below, beside, counts, strict=True)]
        decoder["stages"] = nn.ModuleList(stages)
        if self.config.out_channels:
            decoder["last"] = _conv(widths[0], self.config.out_channels, self.config)
        return decoder

    def _stage(self, inputs: int, width: int, count: int) -> nn.Sequential:
        return nn.Sequential(*(ConvNormAct(width if n else inputs, width, self.config) for n in range(count)))

    def _describe(self) -> BackboneInfo:
        widths = self.config.features_per_stage
        pairs = self.config.padding == "reflect"  # a lone voxel has nothing to reflect
        least = 2 ** (len(widths) - 1 + pairs)
        return BackboneInfo(
            self.config.in_channels,
            tuple(Level(width, (2**n, 2**n, 2**n)) for n, width in enumerate(widths)),
            self.config.out_channels or widths[0],
            input_space=self.config.input_space,
            divisor=(least, least, least),
            least_voxels=1 if pairs else 2,
        )

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the levels of *image* ``(B, C, D, H, W)``, of strides 1, 2, 4, ..."""
        self.check_input(image)
        pool = POOLS[self.config.pooling](2)
        encoder: Any = self.encoder
        levels: list[Tensor] = []
        for stage in encoder["stages"]:
            levels.append(stage(pool(levels[-1]) if levels else image))
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, decoder_channels, D, H, W)`` of *levels*."""
        decoder: Any = self.decoder
        x = levels[-1]
        for number, skip in enumerate(reversed(levels[:-1])):
            x = decoder["stages"][number](torch.cat((self._enlarged(x, number), skip), dim=1))
        return decoder["last"](x) if self.config.out_channels else x

    def _enlarged(self, x: Tensor, number: int) -> Tensor:
        if self.config.upsampling == "transposed":
            decoder: Any = self.decoder
            enlarged: Tensor = decoder["upsamplers"][number](x)
            return enlarged
        return nn.functional.interpolate(x, scale_factor=2.0, mode=self.config.upsampling)


def _conv(inputs: int, outputs: int, config: UNet3DConfig) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, 3, padding=1, bias=config.conv_bias, padding_mode=config.padding)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(module.weight, 1e-2)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
