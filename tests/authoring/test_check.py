"""The report tells what holds, what does not, and what the component itself refuses."""

import types

import pytest
import torch
from torch import nn

import umzoo
from umzoo.authoring import check
from umzoo.errors import ConfigError, PluginError
from umzoo.plugins import load_zoo


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
def report(monkeypatch):
    """Checks a plug-in that registers *classes*; results by component and check."""

    def run(hook, *classes):
        module = types.SimpleNamespace()
        setattr(module, hook, umzoo.hookimpl(lambda register: [register(it) for it in classes]))
        zoo = load_zoo(())
        zoo.load(module, "mine", "umzoo-mine")
        monkeypatch.setattr(check, "zoo", lambda: zoo)
        return {(it.component, it.check): it for it in check.check_plugins("umzoo-mine")}

    return run


def test_outcomes(report):
    results = report("register_heads", Sound, Broken, Picky)
    assert {it.outcome for (name, title), it in results.items() if name == "sound" and title != "CUDA"} == {"yes"}
    assert results["broken", "promises"].outcome == "no"
    assert "finite" in results["broken", "promises"].note
    assert results["picky", "batch of 1"].outcome == "refused"
    assert results["picky", "batch of 1"].note == "picky compares items: give it two at least"
    if not torch.cuda.is_available():
        assert results["sound", "CUDA"].outcome == "not here"


def test_unknown_and_broken_plugins(monkeypatch):
    zoo = load_zoo(())
    zoo.plugins.append(umzoo.plugins.Plugin("sad", "umzoo-sad", reason="ImportError: no"))
    monkeypatch.setattr(check, "zoo", lambda: zoo)
    with pytest.raises(PluginError, match="did you mean 'heads'"):
        list(check.check_plugins("head"))
    with pytest.raises(PluginError, match="'sad' was not loaded: ImportError: no"):
        list(check.check_plugins("sad"))
    assert list(check.check_plugins()) == []
