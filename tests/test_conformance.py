"""Everything registered keeps the promises of its kind."""

import pytest

from umzoo import testing
from umzoo.plugins import zoo

SMALLER = {
    "plainconv_unet": {"features_per_stage": [4, 6, 8, 10]},
    "resenc_unet_m": {"features_per_stage": [4, 6, 8, 10], "n_blocks_per_stage": 1},
    "resenc_unet_l": {"features_per_stage": [4, 6, 8, 10, 12], "n_blocks_per_stage": 1},
    "resenc_unet_xl": {"features_per_stage": [4, 6, 8, 10, 12], "n_blocks_per_stage": 1},
    "primus_b": {"depth": 2},
    "primus_m": {"depth": 2},
    "primus_l": {"depth": 2},
    **dict.fromkeys(
        ("swin_unetr", "swin_vit"),
        {"feature_size": 12, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 2), "window_size": 2},
    ),
    "unetr": {"feature_size": 4, "hidden_size": 24, "mlp_dim": 24, "num_heads": 2},
    **dict.fromkeys((f"resnet3d_{layers}" for layers in (10, 18, 34, 50, 101, 152, 200)), {"width": 4}),
}
"""Options that keep the test short; the others are checked as they are."""
DEEPER = (
    *(f"resnet3d_{layers}" for layers in (18, 34, 101, 152, 200)),
    *("resenc_unet_m", "resenc_unet_l", "resenc_unet_xl", "primus_b", "primus_m", "primus_l"),
)
"""More blocks of the code of ``resnet3d_10``, ``resnet3d_50``, ``resenc_unet_s`` and ``primus_s``, not traced again."""


ELSEWHERE = ("swin_unetr", "swin_vit", "unetr", "timm")
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


@pytest.mark.parametrize("name", zoo().pretext_tasks)
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
