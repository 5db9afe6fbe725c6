"""The report covers every kind and tells outcomes apart."""

import types

import pytest
from torch import nn

import umzoo
from umzoo.authoring import check
from umzoo.errors import ConfigError, PluginError
from umzoo.plugins import KINDS, load_zoo
from umzoo.testing import CHECKS
from umzoo.weights.catalog.entry import WeightsEntry


class Sound(umzoo.Head):
    """Average the pooled features."""

    name = "sound"

    def __init__(self, config, info):
        super().__init__(config, info)
        self.layer = nn.Linear(info.levels[-1].channels, 1)

    def forward(self, features):
        return self.layer(features.pooled)


class Broken(Sound):
    """Divide by zero."""

    name = "broken"

    def forward(self, features):
        return self.layer(features.pooled) / 0


class Picky(Sound):
    """Take pairs only."""

    name = "picky"

    def forward(self, features):
        if len(features.pooled) == 1:
            raise ConfigError("picky compares items: give it two at least")
        return self.layer(features.pooled)


@pytest.fixture
def plugin(monkeypatch):
    """Makes a plug-in ``umzoo-mine`` of *entries* by hook."""

    def make(**entries):
        module = types.SimpleNamespace()
        for hook, things in entries.items():
            register = umzoo.hookimpl(lambda register, things=things: [register(it) for it in things])
            setattr(module, hook, register)
        zoo = load_zoo(())
        zoo.load(module, "mine", "umzoo-mine")
        monkeypatch.setattr(check, "zoo", lambda: zoo)

    return make


def test_every_kind_is_checked():
    assert CHECKS.keys() == KINDS.keys()


def test_outcomes(plugin):
    plugin(register_heads=(Sound, Broken, Picky), register_weights=(WeightsEntry("a.b", "org/name", "unknown"),))
    announced = []
    rows = list(check.check_plugins("umzoo-mine", lambda component, title: announced.append((component, title))))
    assert announced == [(row.component, row.check) for row in rows]
    results = {(row.component, row.check): row for row in rows}
    assert {row.outcome for (name, title), row in results.items() if name == "sound" and title != "CUDA"} == {"yes"}
    wrong = {(row.component, row.check) for row in rows if row.outcome == "no"}
    assert wrong == {("broken", "finite"), ("broken", "bf16"), ("a.b", "license stated")}
    assert results["broken", "finite"].note == "the result must be finite"
    refused = results["picky", "batch of 1"]
    assert (refused.outcome, refused.note) == ("refused", "picky compares items: give it two at least")
    assert all(row.seconds >= 0 for row in rows)


def test_unknown_and_broken_plugins(monkeypatch):
    zoo = load_zoo(())
    zoo.plugins.append(umzoo.plugins.Plugin("sad", "umzoo-sad", reason="ImportError: no"))
    monkeypatch.setattr(check, "zoo", lambda: zoo)
    with pytest.raises(PluginError, match="did you mean 'heads'"):
        list(check.check_plugins("head"))
    with pytest.raises(PluginError, match="'sad' was not loaded: ImportError: no"):
        list(check.check_plugins("sad"))
    assert list(check.check_plugins()) == []
