"""Everything registered keeps the promises of its kind."""

import pytest

from umzoo import testing
from umzoo.plugins import zoo

RESNETS = (10, 18, 34, 50, 101, 152, 200)
SMALLER = {
    "genesis_unet": {"width": 2},
    "unet3d": {"features_per_stage": [4, 6, 8]},
    "plainconv_unet": {"features_per_stage": [4, 6, 8]},
    **{
        f"resenc_unet_{size}": {"features_per_stage": [4, 6, 8], "n_blocks_per_stage": 1}
        for size in ("s", "m", "l", "xl")
    },
    "primus_s": {"embed_dim": 36, "depth": 2, "decoder_channels": 8},
    "primus_b": {"embed_dim": 72, "depth": 2, "decoder_channels": 8},
    "primus_m": {"embed_dim": 72, "depth": 2, "decoder_channels": 8},
    "primus_l": {"embed_dim": 96, "depth": 2, "decoder_channels": 8},
    **dict.fromkeys(
        ("vit3d_s", "vit3d_b", "vit3d_l"),
        {"token_size": (8, 8, 8), "embed_dim": 24, "heads": 2, "depth": 2, "decoder_channels": 8, "class_token": True},
    ),
    **dict.fromkeys(
        ("swin_unetr", "swin_vit"),
        {"feature_size": 12, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 2), "window_size": 2},
    ),
    "unetr": {"feature_size": 4, "hidden_size": 24, "mlp_dim": 24, "num_heads": 2},
    "segresnet": {"init_filters": 8, "blocks_down": (1, 1), "blocks_up": (1,)},
    "segresnet_ds": {"init_filters": 4, "blocks_down": (1, 1)},
    "timm": {"model": "test_resnet", "decoder_channels": 4},
    **dict.fromkeys((f"resnet3d_{layers}" for layers in RESNETS), {"width": 2}),
}
"""Options that keep the test short; their default sizes are built by the tests of the backbones."""
DEEPER = (
    *(f"resnet3d_{layers}" for layers in RESNETS[1:]),
    *("resenc_unet_m", "resenc_unet_l", "resenc_unet_xl", "primus_b", "primus_m", "primus_l", "vit3d_b", "vit3d_l"),
)
"""More blocks of the code of ``resnet3d_10``, ``resenc_unet_s``, ``primus_s`` and ``vit3d_s``, not traced again."""


ELSEWHERE = (
    *("swin_unetr", "swin_vit", "unetr", "segresnet", "segresnet_ds", "timm"),
    *("jigsaw", "rubik", "dino", "jepa", "distillation"),
)
"""Checked by the tests of their plug-ins."""


@pytest.mark.parametrize("name", [name for name in zoo().backbones if name not in ELSEWHERE])
def test_backbone(name):
    checks = testing.CHECKS["backbone"](name, SMALLER.get(name))
    checks.run(*[it.title for it in checks.promises() if name not in DEEPER or it.title != "compiled"])


@pytest.mark.parametrize("name", zoo().backbones)
def test_backbone_with_two_channels(name):
    checks = testing.CHECKS["backbone"](name, {"in_channels": 2, **SMALLER.get(name, {})})
    checks.run("builds", "shapes as in info", "gradient reaches every parameter")


@pytest.mark.parametrize("name", zoo().corruptions)
def test_corruption(name):
    testing.check_corruption(name)


@pytest.mark.parametrize("name", [name for name in zoo().pretext_tasks if name not in ELSEWHERE])
def test_pretext_task(name):
    testing.check_pretext_task(name)


@pytest.mark.parametrize("name", zoo().heads)
def test_head(name):
    testing.check_head(name)


@pytest.mark.parametrize("name", zoo().importers)
def test_importer(name):
    testing.check_importer(name)


@pytest.mark.parametrize("name", zoo().weights)
def test_weights(name):
    testing.check_weights(name)


def test_no_plugin_failed():
    assert [plugin.name for plugin in zoo().plugins if plugin.reason] == []
