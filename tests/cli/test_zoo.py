"""``umzoo list`` and ``umzoo plugins`` as a user meets them."""

import gc
import re
from types import SimpleNamespace

import pytest

import umzoo
from umzoo import plugins
from umzoo.errors import UnknownNameError
from umzoo.weights.entry import WeightsEntry

KINDS = ("backbone", "corruption", "pretext_task", "head", "weights", "importer")


@pytest.fixture
def own(monkeypatch):
    """A zoo of umzoo's own entries and one record of weights, so that no other plug-in makes a difference."""
    zoo = plugins.load_zoo([])
    entry = WeightsEntry("genesis_unet.lab", "org/name", "cc-by-4.0", description="A test.")
    plugin = SimpleNamespace(register_weights=umzoo.hookimpl(lambda register: register(entry)))
    zoo.load(plugin, "lab", "umzoo")
    monkeypatch.setattr(plugins, "zoo", lambda: zoo)
    return zoo


def cells(output):
    return [line.split("\t") for line in output.splitlines()]


def test_a_line_for_each_entry_of_every_kind(own, run):
    rows = cells(run("list"))
    assert {(row[0], row[1]) for row in rows} == {(kind, name) for kind in KINDS for name in own.registries[kind]}
    assert {len(row) for row in rows} == {6}
    assert ["weights", "genesis_unet.lab", "", "umzoo", "cc-by-4.0", "A test."] in rows
    for kind, name, size, package, license, text in rows:
        assert (size.endswith(" M"), package) == (kind == "backbone", "umzoo") and text
        assert license == (own.weights[name].license if kind == "weights" else "Apache-2.0")


@pytest.mark.parametrize("kind", ["backbone", "backbones", "Backbones"])
def test_one_kind_by_pattern(own, run, kind):
    rows = {row[1]: row for row in cells(run("list", kind, "*unet*"))}
    assert rows["genesis_unet"][:5] == ["backbone", "genesis_unet", "19.1 M", "umzoo", "Apache-2.0"]
    assert rows.keys() == set(own.backbones.list("*unet*"))
    assert {row[0] for row in cells(run("list", "pretext-tasks"))} == {"pretext_task"}


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_names_are_whole_on_any_terminal(own, run, monkeypatch, columns):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", columns)
    words = set(re.findall(r"[\w.]+", re.sub(r"\x1b\[\d*m", "", run("list") + run("plugins"))))
    for kind in KINDS:
        assert kind in words and words >= set(own.registries[kind])


def test_refusals(own, run):
    with pytest.raises(UnknownNameError, match="unknown kind 'backbine' .did you mean 'backbone'"):
        run("list", "backbine")
    assert run("list", "head", "zzz") == "nothing of kind head matches 'zzz'\n"
    assert gc.isenabled()


def test_plugins_and_reasons(own, run):
    broken = SimpleNamespace(name="rotten", value="rotten", dist=None, load=lambda: 1 / 0)
    own.load_entry_point(broken)
    rows = {row[0]: row for row in cells(run("plugins"))}
    brings = "head: classification, projection, regression, segmentation, survival"
    assert rows["heads"] == ["heads", "umzoo", umzoo.__version__, brings]
    assert rows["rotten"][3].startswith("not loaded: ZeroDivisionError")
