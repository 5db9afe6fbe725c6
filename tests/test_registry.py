"""Registries: names, patterns, options, and errors that help."""

from types import SimpleNamespace

import pytest
from pydantic import Field

from umzoo.config import Config
from umzoo.errors import ConfigError, PluginError, UnknownNameError
from umzoo.registry import Component, Registry
from umzoo.spec import ComponentSpec


class Options(Config):
    size: int = Field(3, ge=1, description="size")


class Thing(Component):
    name = "thing"
    Config = Options

    def __init__(self, config, color=None):
        self.config, self.color = config, color


@pytest.fixture
def registry():
    registry = Registry("thing")
    for name in ("small_thing", "big_thing", "other"):
        registry.add(name, Thing, "mine")
    return registry


def test_names(registry):
    assert registry.list() == list(registry) == ["big_thing", "other", "small_thing"]
    assert registry.list("*thing") == ["big_thing", "small_thing"]
    assert len(registry) == 3
    assert "other" in registry and "nothing" not in registry
    assert registry["other"] is Thing
    assert registry.owner("other") == "mine"


def test_unknown_names(registry):
    with pytest.raises(UnknownNameError, match=r"unknown thing 'bigthing' \(did you mean 'big_thing'"):
        registry["bigthing"]
    with pytest.raises(UnknownNameError, match="known: big_thing, other, small_thing"):
        registry["zzz"]
    registry.failed_plugins.append("rotten")
    with pytest.raises(UnknownNameError, match="not loaded: rotten"):
        registry["zzz"]
    with pytest.raises(LookupError, match="known: none"):
        Registry("thing")["a"]


def test_one_name_one_entry(registry):
    with pytest.raises(PluginError, match="both 'mine' and 'yours'"):
        registry.add("other", Thing, "yours")


def test_broken_names_say_so_until_someone_brings_them(registry):
    registry.mark_broken("lost", "its plug-in failed")
    assert "lost" not in registry.list()
    with pytest.raises(PluginError, match="thing 'lost' is unavailable: its plug-in failed"):
        registry["lost"]
    registry.add("lost", Thing, "another")
    assert registry["lost"] is Thing
    registry.mark_broken("other", "two have it")
    assert registry.list() == ["big_thing", "lost", "small_thing"]


@pytest.mark.parametrize("spec", ["other", {"name": "other"}, ComponentSpec(name="other")])
def test_build_from_every_form(registry, spec):
    thing = registry.build(spec, color="red")
    assert (thing.config.size, thing.color) == (3, "red")


def test_options_are_checked_where_they_stand(registry):
    assert registry.build({"name": "other", "size": 4}).config.size == 4
    with pytest.raises(ConfigError, match=r"unknown key 'tasks\.other\.sise' \(did you mean 'size'\?\)"):
        registry.build({"name": "other", "sise": 4}, "tasks.other")
    with pytest.raises(ConfigError, match=r"'thing other\.size'.*greater than or equal to 1, got 0"):
        registry.build({"name": "other", "size": 0})
    with pytest.raises(ConfigError, match="missing key 'name'"):
        registry.build({"size": 4})


def test_records_cannot_be_built(registry):
    registry.add("record", "a string", "mine")
    with pytest.raises(ConfigError, match="is a record"):
        registry.build("record")


def test_summary_is_one_line():
    registry = Registry("thing")
    registry.add("a", type("A", (), {"__doc__": "First ``code``\n    goes on.\n\n    More."}), "p")
    registry.add("b", SimpleNamespace(description="Told."), "p")
    registry.add("c", SimpleNamespace(), "p")
    assert [registry.summary(name) for name in "abc"] == ["First `code` goes on.", "Told.", ""]
