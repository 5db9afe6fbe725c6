"""Backbones: 3D networks with ``encode`` to several levels and ``decode`` to dense features."""

from __future__ import annotations

from umzoo.hookspecs import Register, hookimpl


@hookimpl
def register_backbones(register: Register) -> None:
    """Register the built-in backbones."""
    from umzoo.backbones.nnunet import PlainConvUNet, ResEncUNetL, ResEncUNetM, ResEncUNetS, ResEncUNetXL
    from umzoo.backbones.primus import PrimusB, PrimusL, PrimusM, PrimusS
    from umzoo.backbones.resnet import RESNETS
    from umzoo.backbones.unet import GenesisUNet
    from umzoo.backbones.unet3d import UNet3D
    from umzoo.backbones.vit import VisionTransformer3DB, VisionTransformer3DL, VisionTransformer3DS

    unets = (GenesisUNet, UNet3D, PlainConvUNet, ResEncUNetS, ResEncUNetM, ResEncUNetL, ResEncUNetXL)
    transformers = (VisionTransformer3DS, VisionTransformer3DB, VisionTransformer3DL)
    for backbone in (*unets, PrimusS, PrimusB, PrimusM, PrimusL, *transformers, *RESNETS):
        register(backbone)
