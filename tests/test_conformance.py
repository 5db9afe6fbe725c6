"""Everything registered keeps the promises of its kind."""

import pytest

from umzoo import testing
from umzoo.plugins import zoo

SMALLER = {
    "plainconv_unet": {"features_per_stage": [4, 6, 8, 10, 12, 12]},
    "resenc_unet_l": {"features_per_stage": [4, 6, 8, 10, 12, 12]},
    "resenc_unet_xl": {"features_per_stage": [4, 6, 8, 10, 12, 12, 12]},
    "primus_b": {"depth": 2},
    "primus_m": {"depth": 2},
    "primus_l": {"depth": 2},
    **dict.fromkeys((f"resnet3d_{layers}" for layers in (10, 18, 34, 50, 101, 152, 200)), {"width": 4}),
}
"""Options that keep the test short; the others are checked as they are."""


@pytest.mark.parametrize("name", zoo().backbones)
def test_backbone(name):
    testing.check_backbone(name, **SMALLER.get(name, {}))


@pytest.mark.parametrize("name", zoo().backbones)
def test_backbone_with_two_channels(name):
    testing.check_backbone(name, in_channels=2, **SMALLER.get(name, {}))


@pytest.mark.parametrize("name", zoo().corruptions)
def test_corruption(name):
    testing.check_corruption(name)


@pytest.mark.parametrize("name", zoo().pretext_tasks)
def test_pretext_task(name):
    testing.check_pretext_task(name)


@pytest.mark.parametrize("name", zoo().heads)
def test_head(name):
    testing.check_head(name)


def test_no_plugin_failed():
    assert [plugin.name for plugin in zoo().plugins if plugin.reason] == []
