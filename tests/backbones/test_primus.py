"""Primus: the same function as dynamic_network_architectures' own, other input sizes, and a missing timm."""

import sys

import pytest
import torch
from dynamic_network_architectures.architectures.primus import Primus as Theirs

from umzoo.backbones.primus import PrimusS
from umzoo.backbones.state import canonical_state
from umzoo.errors import ConfigError, PluginError, UmzooError
from umzoo.fields import Rng
from umzoo.plugins import zoo

TINY = {"embed_dim": 36, "heads": 3, "depth": 2, "decoder_channels": 8}


def tiny(**options):
    return PrimusS(PrimusS.Config(**TINY, **options)).eval()


@pytest.mark.parametrize(("layer_scale", "inner_norm"), [(0.1, True), (None, False)])
def test_function_and_names_are_those_of_the_original(layer_scale, inner_norm):
    shape = (16, 24, 8)
    model = tiny(input_shape=shape, in_channels=2, layer_scale=layer_scale, inner_norm=inner_norm)
    options = {"input_shape": shape, "init_values": layer_scale, "scale_attn_inner": inner_norm}
    theirs = Theirs(2, 36, (8, 8, 8), 8, eva_depth=2, eva_numheads=3, **options).eval()
    ours = {name.partition(".")[2]: value for name, value in canonical_state(model).items()}
    assert theirs.state_dict().keys() - ours.keys() == {"mask_token"}
    theirs.load_state_dict({**ours, "mask_token": theirs.mask_token})
    image = Rng(0).normal((2, 2, 16, 24, 8))
    torch.testing.assert_close(model(image, dense=True).dense, theirs(image))


def test_the_blocks_are_those_of_nnunets_preset():
    """By default; widths and depths of the four sizes are the presets' too."""
    from dynamic_network_architectures.architectures.primus import PrimusS as Preset

    with torch.device("meta"):
        ours, theirs = PrimusS(), Preset(1, 2, (8, 8, 8), PrimusS().config.input_shape)
    shapes = [
        {name.removeprefix("encoder."): it.shape for name, it in network.state_dict().items() if "eva." in name}
        for network in (ours, theirs)
    ]
    assert shapes[0] == {name: shape for name, shape in shapes[1].items() if name != "mask_token"}


def test_other_sizes_resize_the_positions():
    model = tiny(input_shape=(16, 16, 16))
    features = model(Rng(0).normal((1, 1, 24, 16, 32)), dense=True)
    assert features.levels[0].shape == (1, 36, 3, 2, 4)
    assert features.dense.shape == (1, 8, 24, 16, 32)


def test_the_recipes_patch_size_is_the_default_shape():
    build = zoo().backbones.build
    assert build({"name": "primus_s", **TINY}, patch_size=(16, 24, 32)).config.input_shape == (16, 24, 32)
    assert build({"name": "primus_s", **TINY, "input_shape": [8, 8, 16]}, patch_size=(16,) * 3).grid == (1, 1, 2)
    with pytest.raises(ConfigError, match="multiple of token_size"):
        build({"name": "primus_s", **TINY}, patch_size=(20, 24, 32))


@pytest.mark.parametrize(
    ("options", "complaint"), [({"heads": 5}, "multiple of 6"), ({"token_size": (6, 8, 8)}, "powers of 2")]
)
def test_wrong_options_say_what_is_wrong(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        PrimusS.Config.parse({**TINY, **options})


def test_anisotropic_tokens():
    model = tiny(input_shape=(8, 16, 16), token_size=(4, 8, 8))
    features = model(Rng(0).normal((1, 1, 8, 16, 16)), dense=True)
    assert features.levels[0].shape[2:] == (2, 2, 2)
    assert features.dense.shape == (1, 8, 8, 16, 16)


def test_without_timm_only_primus_fails_and_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "dynamic_network_architectures.building_blocks.eva", None)
    with pytest.raises(PluginError, match="needs timm.*same index"):
        zoo().backbones.build("primus_s")
    assert issubclass(PluginError, UmzooError)
    assert zoo().backbones.build({"name": "genesis_unet", "width": 1})
