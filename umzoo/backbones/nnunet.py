"""nnU-Net's U-Nets, built by dynamic_network_architectures, with one name per tensor.

``encoder.*`` and ``decoder.*`` are the names that nnU-Net's networks use, without their aliases
(``decoder.encoder.*``, ``*.all_modules.*``) and without the segmentation layers (``decoder.seg_layers.*``).
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import accumulate
from typing import Any

import torch
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual import BasicBlockD
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from dynamic_network_architectures.initialization.weight_init import InitWeights_He, init_last_bn_before_add_to_0
from torch import Tensor, nn

from umzoo.backbones.base import Backbone, BackboneInfo, Level
from umzoo.backbones.nnunet_config import PlainConvConfig, ResEncConfig, UNetConfig

NORMS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "instance": (nn.InstanceNorm3d, {"eps": 1e-5, "affine": True}),
    "batch": (nn.BatchNorm3d, {"eps": 1e-5, "affine": True}),
}


class UNet(Backbone):
    """Encoder and decoder of dynamic_network_architectures; subclasses build the encoder."""

    libraries = ("nnunet",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.config = self.config.resolved()
        self.encoder = self._make_encoder()
        self.decoder = UNetDecoder(self.encoder, 1, self.config.n_conv_per_stage_decoder, deep_supervision=False)
        del self.decoder.encoder, self.decoder.seg_layers
        _drop_aliases(self)
        self.apply(InitWeights_He(1e-2))
        self.info = _info(self.config)

    @abstractmethod
    def _make_encoder(self) -> nn.Module:
        """Build the encoder, which returns one level per stage."""

    def _common(self) -> dict[str, Any]:
        """Return the common arguments of both encoders, with nnU-Net's choice of bias and activation."""
        norm, norm_options = NORMS[self.config.norm]
        return {
            "input_channels": self.config.in_channels,
            "n_stages": self.config.n_stages,
            "features_per_stage": self.config.features_per_stage,
            "conv_op": nn.Conv3d,
            "kernel_sizes": self.config.kernel_sizes,
            "strides": self.config.strides,
            "conv_bias": True,
            "norm_op": norm,
            "norm_op_kwargs": norm_options,
            "nonlin": nn.LeakyReLU,
            "nonlin_kwargs": {"inplace": True},
            "return_skips": True,
        }

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return one level per stage of *image* ``(B, C, D, H, W)``, fine to coarse."""
        self.check_input(image)
        levels: list[Tensor] = self.encoder(image)
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, features_per_stage[0], D, H, W)``, the input of nnU-Net's last seg layer."""
        x = levels[-1]
        steps = zip(self.decoder.transpconvs, self.decoder.stages, reversed(levels[:-1]), strict=True)
        for upsample, stage, skip in steps:
            x = stage(torch.cat((upsample(x), skip), dim=1))
        return x


class PlainConvUNet(UNet):
    """nnU-Net's default U-Net (Isensee et al., Nature Methods 2021)."""

    name = "plainconv_unet"
    Config = PlainConvConfig
    image_kernels = ("encoder.stages.0.0.convs.0.conv.weight",)

    def _make_encoder(self) -> nn.Module:
        encoder: nn.Module = PlainConvEncoder(n_conv_per_stage=self.config.n_conv_per_stage, **self._common())
        return encoder


class ResEncUNet(UNet):
    """nnU-Net's residual encoder U-Net (Isensee et al., MICCAI 2024).

    All sizes are the first stages of the same sequence as in nnU-Net's ResEnc planners: 32, 64, 128, 256, 320, 320, ...
    features with 1, 3, 4, 6, 6, 6, ... blocks. So tensors correspond between sizes, and to those of networks that
    nnU-Net plans. nnU-Net's presets M, L and XL differ in patch size, and therefore in the number of stages.
    """

    Config = ResEncConfig
    image_kernels = ("encoder.stem.convs.0.conv.weight",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.apply(init_last_bn_before_add_to_0)

    def _make_encoder(self) -> nn.Module:
        encoder: nn.Module = ResidualEncoder(n_blocks_per_stage=self.config.n_blocks_per_stage, **self._common())
        return encoder


class ResEncUNetS(ResEncUNet):
    """nnU-Net's residual encoder U-Net with four stages, for patches of 32 voxels and more along each axis."""

    name = "resenc_unet_s"

    class Config(ResEncConfig):
        """Options."""

        default_stages = 4


class ResEncUNetM(ResEncUNet):
    """nnU-Net's residual encoder U-Net with five stages, for patches of 64 voxels and more along each axis."""

    name = "resenc_unet_m"

    class Config(ResEncConfig):
        """Options."""

        default_stages = 5


class ResEncUNetL(ResEncUNet):
    """nnU-Net's residual encoder U-Net with six stages, as nnU-Net plans for patches of 128 to 192 voxels."""

    name = "resenc_unet_l"

    class Config(ResEncConfig):
        """Options."""

        default_stages = 6


class ResEncUNetXL(ResEncUNet):
    """nnU-Net's residual encoder U-Net with seven stages, for patches of 256 voxels and more along an axis."""

    name = "resenc_unet_xl"

    class Config(ResEncConfig):
        """Options."""

        default_stages = 7


def _drop_aliases(network: nn.Module) -> None:
    """Unregister ``all_modules``, a second reference to each block's layers; the forward pass still uses it."""
    for module in network.modules():
        if isinstance(module, BasicBlockD) and not isinstance(module.skip, nn.Module):
            module.skip = nn.Identity()  # a lambda, which cannot be pickled
        if isinstance(module, ConvDropoutNormReLU):
            layers = module.all_modules
            del module.all_modules
            module.__dict__["all_modules"] = layers


def _info(config: UNetConfig) -> BackboneInfo:
    strides = list(accumulate(config.stage_strides, lambda a, b: (a[0] * b[0], a[1] * b[1], a[2] * b[2])))
    features = config.stage_features
    return BackboneInfo(
        in_channels=config.in_channels,
        levels=tuple(Level(n, stride) for n, stride in zip(features, strides, strict=True)),
        decoder_channels=features[0],
        divisor=strides[-1],
        least_voxels=2,
    )
