"""Small networks: umzoo's own, and nnU-Net's as nnU-Net builds them."""

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

from umzoo.plugins import zoo

FEATURES = (4, 6, 8, 8, 8, 8, 8)
BLOCKS = (1, 2, 2, 2, 2, 2, 2)


def build_resenc(stages=3, **options):
    return zoo().backbones.build(
        {
            "name": "resenc_unet_s",
            "features_per_stage": FEATURES[:stages],
            "n_blocks_per_stage": BLOCKS[:stages],
            **options,
        }
    )


def build_nnunet(kind="resenc", strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)), kernels=3, channels=1, **options):
    """nnU-Net's own network for a plan."""
    stages = len(strides)
    cls, name, count = {
        "resenc": (ResidualEncoderUNet, "n_blocks_per_stage", BLOCKS),
        "plainconv": (PlainConvUNet, "n_conv_per_stage", (2,) * 8),
    }[kind]
    arguments = {
        "input_channels": channels,
        "n_stages": stages,
        "features_per_stage": FEATURES[:stages],
        "conv_op": nn.Conv3d,
        "kernel_sizes": kernels,
        "strides": strides,
        name: count[:stages],
        "n_conv_per_stage_decoder": 1 if kind == "resenc" else 2,
        "num_classes": 3,
        "conv_bias": True,
        "norm_op": nn.InstanceNorm3d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
        "deep_supervision": True,
        **options,
    }
    return cls(**arguments)


def fill_randomly(network, seed=0):
    """Give every tensor values of its own, so that no two are alike, norms and biases included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / max(1, value[0].numel()) ** 0.5)
    return network


@pytest.fixture
def resenc():
    return build_resenc


@pytest.fixture
def nnunet():
    return build_nnunet


@pytest.fixture
def randomly():
    return fill_randomly
