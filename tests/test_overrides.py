"""Another component by override: the options of the one it replaces go, others' stay."""

import pytest

from umzoo.errors import ConfigError
from umzoo.overrides import apply_overrides


def changed(*overrides):
    table = {
        "name": "mine",
        "backbone": {"name": "genesis_unet", "width": 8},
        "tasks": [{"name": "restoration", "weight": 2, "loss": "l1"}],
    }
    apply_overrides(table, overrides)
    return table


@pytest.mark.parametrize("overrides", [["backbone.name=a", "backbone.n=4"], ["backbone.n=4", "backbone.name=a"]])
def test_another_name_drops_the_options(overrides):
    assert changed(*overrides)["backbone"] == {"name": "a", "n": 4}


def test_options_that_are_given_again_stay():
    assert changed("backbone.width=8", "backbone.name=a")["backbone"] == {"name": "a", "width": 8}


def test_the_same_name_keeps_them():
    assert changed("backbone.name=genesis_unet")["backbone"]["width"] == 8


def test_what_is_no_option_of_a_component_stays():
    assert changed("name=b")["backbone"]["width"] == 8
    assert changed("tasks.restoration.name=other")["tasks"] == [{"name": "other", "weight": 2}]


def test_a_wrong_entry_is_named():
    with pytest.raises(ConfigError, match="no entry 'rotation'"):
        changed("tasks.rotation.name=other")
