"""What holds for every backbone: shapes follow ``info``, wrong input is refused, the spec rebuilds the network."""

import pytest
import torch

from umzoo.backbones.base import BackboneInfo, Level
from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.plugins import zoo

SMALL = {
    "genesis_unet": {"width": 2},
    "unet3d": {"features_per_stage": [4, 6, 8]},
    "plainconv_unet": {"features_per_stage": [4, 6, 8]},
    **dict.fromkeys(
        ("resenc_unet_s", "resenc_unet_m", "resenc_unet_l", "resenc_unet_xl"),
        {"features_per_stage": [4, 6, 8], "n_blocks_per_stage": 1},
    ),
    **dict.fromkeys(
        ("primus_s", "primus_b", "primus_m", "primus_l"),
        {"embed_dim": 36, "heads": 3, "depth": 1, "input_shape": [16, 16, 16]},
    ),
    **dict.fromkeys(
        ("vit3d_s", "vit3d_b", "vit3d_l"), {"embed_dim": 24, "heads": 3, "depth": 1, "input_shape": [16, 16, 16]}
    ),
    **dict.fromkeys((f"resnet3d_{layers}" for layers in (10, 18, 34, 50, 101, 152, 200)), {"width": 2}),
}

BUILT_IN = sorted(SMALL)


def build(name, **options):
    return zoo().backbones.build({"name": name, **SMALL[name], **options}).eval()


def expected_shapes(info, size):
    return [(level.channels, *(n // s for n, s in zip(size, level.stride, strict=True))) for level in info.levels]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BUILT_IN)
def test_shapes_are_those_of_info(name, channels):
    model = build(name, in_channels=channels)
    info = model.info
    size = tuple(2 * divisor * factor for divisor, factor in zip(info.divisor, (1, 2, 1), strict=True))
    features = model(Rng(0).normal((2, channels, *size)), dense=True)
    assert [tuple(level.shape[1:]) for level in features.levels] == expected_shapes(info, size)
    assert features.dense.shape == (2, info.decoder_channels, *size)
    assert features.pooled.shape == (2, info.levels[-1].channels)


@pytest.mark.parametrize("name", BUILT_IN)
def test_info_describes_the_default_size(name):
    with torch.device("meta"):
        model = zoo().backbones.build(name)
        image = torch.empty(1, 1, *(2 * divisor for divisor in model.info.divisor))
        features = model(image, dense=True)
    assert [tuple(level.shape[1:]) for level in features.levels] == expected_shapes(model.info, image.shape[2:])
    assert features.dense.shape[1] == model.info.decoder_channels


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_wrong_size_names_the_nearest(name):
    model = build(name)
    size = tuple(2 * divisor + 1 for divisor in model.info.divisor)
    nearest = tuple(2 * divisor for divisor in model.info.divisor)
    for call in (model, model.encode):
        with pytest.raises(ConfigError, match="nearest usable size") as caught:
            call(torch.zeros(1, 1, *size))
        assert str(nearest) in str(caught.value)
    assert model.encode(torch.zeros(1, 1, *nearest))


@pytest.mark.parametrize("shape", [(1, 2, 16, 16, 16), (1, 16, 16, 16)])
def test_wrong_channels_or_axes_are_refused(shape):
    with pytest.raises(ConfigError, match=r"expects \(B, 1, D, H, W\)"):
        build("genesis_unet")(torch.zeros(shape))


@pytest.mark.parametrize("name", BUILT_IN)
def test_spec_rebuilds_the_network(name):
    model = build(name, in_channels=2)
    twin = zoo().backbones.build(model.spec).eval()
    twin.load_state_dict(model.state_dict())
    image = Rng(1).normal((1, 2, *(2 * divisor for divisor in model.info.divisor)))
    assert torch.equal(model(image, dense=True).dense, twin(image, dense=True).dense)
    assert twin.spec == model.spec


@pytest.mark.parametrize("name", BUILT_IN)
def test_unknown_options_are_refused(name):
    with pytest.raises(ConfigError, match="in_chanels.*did you mean 'in_channels'"):
        zoo().backbones.build({"name": name, "in_chanels": 2})


def test_nearest_size():
    info = BackboneInfo(1, (Level(4, (4, 8, 8)),), None, divisor=(4, 8, 8), least_voxels=2)
    assert info.nearest_size((8, 16, 16)) == (8, 16, 16)
    assert info.nearest_size((1, 19, 20)) == (4, 16, 24)
    assert info.nearest_size((4, 8, 8)) == (8, 16, 16), "a norm needs more than one voxel"
