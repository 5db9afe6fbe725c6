"""nnU-Net's U-Nets: the same function and the same names as the networks nnU-Net builds."""

from copy import deepcopy

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

from umzoo.backbones.nnunet import UNet
from umzoo.backbones.state import canonical_state, named_tensors
from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.plugins import zoo

ANISOTROPIC = {
    "features_per_stage": [4, 6, 8],
    "kernel_sizes": [[1, 3, 3], [3, 3, 3], 3],
    "strides": [1, [1, 2, 2], [2, 2, 2]],
}


def build(name, **options):
    return zoo().backbones.build({"name": name, **options})


def nnunet(name, config, classes=3):
    """The network nnU-Net itself builds for the same plan."""
    arguments = {
        "input_channels": config.in_channels,
        "n_stages": config.n_stages,
        "features_per_stage": config.features_per_stage,
        "conv_op": nn.Conv3d,
        "kernel_sizes": config.kernel_sizes,
        "strides": config.strides,
        "num_classes": classes,
        "n_conv_per_stage_decoder": config.n_conv_per_stage_decoder,
        "conv_bias": True,
        "norm_op": nn.InstanceNorm3d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
    }
    if name == "plainconv_unet":
        return PlainConvUNet(n_conv_per_stage=config.n_conv_per_stage, **arguments)
    return ResidualEncoderUNet(n_blocks_per_stage=config.n_blocks_per_stage, **arguments)


def randomize(model: nn.Module) -> None:
    """Random values everywhere: a fresh residual network has zeros, which hide mistakes."""
    with torch.no_grad():
        for index, value in enumerate(model.parameters()):
            value.copy_(0.2 * Rng(index).normal(value.shape))


@pytest.mark.parametrize("name", ["plainconv_unet", "resenc_unet_s"])
@pytest.mark.parametrize("options", [{"features_per_stage": [4, 6, 8]}, ANISOTROPIC], ids=["cubic", "anisotropic"])
def test_names_and_function_are_nnunets(name, options):
    model = build(name, in_channels=2, **options)
    randomize(model)
    theirs = nnunet(name, model.config)
    tensors = named_tensors(theirs)
    heads = {key for key in tensors if key.startswith("decoder.seg_layers.")}
    state = canonical_state(model)
    assert tensors.keys() - heads == state.keys() == model.state_dict().keys()
    assert sum(value.numel() for value in theirs.parameters()) == sum(map(torch.numel, tensors.values()))
    with torch.no_grad():
        for key, value in state.items():
            tensors[key].copy_(value)
        image = Rng(0).normal((1, 2, 8, 16, 16))
        dense = model(image, dense=True).dense
        torch.testing.assert_close(theirs.decoder.seg_layers[-1](dense), theirs(image))


def test_resenc_l_is_nnunets():
    with torch.device("meta"):
        model = build("resenc_unet_l")
        theirs = nnunet("resenc_unet_l", model.config, classes=2)
    assert round(sum(value.numel() for value in theirs.parameters()) / 1e6, 2) == 102.35
    assert len(theirs.state_dict()) == 956
    tensors = named_tensors(theirs)
    assert len(tensors) == 264
    found = {name: value.shape for name, value in tensors.items() if ".seg_layers." not in name}
    assert found == {name: value.shape for name, value in canonical_state(model).items()}


def test_presets_are_one_ladder():
    with torch.device("meta"):
        models = [build(f"resenc_unet_{size}") for size in ("s", "m", "l", "xl")]
    assert [len(model.info.levels) for model in models] == [4, 5, 6, 7]
    for small, large in zip(models, models[1:], strict=False):
        ours = {k: v.shape for k, v in canonical_state(small.encoder).items()}
        assert ours.items() <= {k: v.shape for k, v in canonical_state(large.encoder).items()}.items()


def test_info_of_anisotropic_strides():
    info = build("resenc_unet_s", **ANISOTROPIC).info
    assert [level.stride for level in info.levels] == [(1, 1, 1), (1, 2, 2), (2, 4, 4)]
    assert info.divisor == (2, 4, 4)


def test_copies_are_independent():
    model = build("resenc_unet_s", features_per_stage=[4, 6])
    randomize(model)
    twin, image = deepcopy(model), Rng(0).normal((1, 1, 8, 8, 8))
    torch.testing.assert_close(twin(image, dense=True).dense, model(image, dense=True).dense)
    with torch.no_grad():
        for value in twin.parameters():
            value.zero_()
    assert not twin(image).pooled.any()
    assert model(image).pooled.any()


def test_moves_to_another_type():
    model = build("plainconv_unet", features_per_stage=[4, 6]).to(torch.float64)
    assert model(Rng(0).normal((1, 1, 8, 8, 8)).double(), dense=True).dense.dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"n_stages": 3, "features_per_stage": [4, 6]}, "features_per_stage needs 3 entries"),
        ({"n_stages": 3, "strides": [1, 2]}, "strides needs 3 entries"),
        ({"kernel_sizes": 4}, "must be odd"),
        ({"n_stages": 2, "strides": [2, 2]}, "first of strides must be 1"),
        ({"n_stages": 1}, "n_stages"),
        ({"norm": "group"}, "norm"),
    ],
)
def test_wrong_options_say_what_is_wrong(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        build("resenc_unet_s", **options)


def test_batch_norm_is_an_option():
    model = build("plainconv_unet", features_per_stage=[4, 6], norm="batch")
    assert isinstance(model, UNet)
    assert any(isinstance(module, nn.BatchNorm3d) for module in model.modules())
