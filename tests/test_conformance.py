"""Everything registered keeps the promises of its kind."""

import pytest

from umzoo import testing
from umzoo.plugins import zoo


@pytest.mark.parametrize("name", zoo().backbones)
def test_backbone(name):
    testing.check_backbone(name)


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
