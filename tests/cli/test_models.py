"""``umzoo list``, ``plugins``, ``info`` and ``import`` as a user meets them."""

import json
from types import SimpleNamespace

import pytest
import torch
import typer
from typer.testing import CliRunner

import umzoo
from umzoo import plugins
from umzoo.cli import models as commands
from umzoo.errors import UnknownNameError, WeightsError


@pytest.fixture
def run(monkeypatch):
    """Run a command with arguments; give what it prints."""
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    for name in ("list", "plugins", "info", "import"):
        app.command(name)(getattr(commands, name, None) or getattr(commands, f"{name}_"))

    def call(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return call


@pytest.fixture
def weights(tmp_path):
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=1), tmp_path / "w", licence="mit")
    return tmp_path / "w"


def test_list_shows_every_kind(run):
    output = run("list")
    for name in ("resenc_unet_l", "local_shuffle", "restoration", "segmentation", "models_genesis"):
        assert name in output


@pytest.mark.parametrize("kind", ["backbone", "backbones", "Backbones"])
def test_list_one_kind_by_pattern(run, kind):
    output = run("list", kind, "*unet*")
    assert "genesis_unet" in output
    assert "primus" not in output and "segmentation" not in output
    assert "19.1 M" in output and "Apache-2.0" in output
    assert "pretext_task" in run("list", "pretext-tasks")


def test_list_refusals(run):
    with pytest.raises(UnknownNameError, match="unknown kind 'backbine' .did you mean 'backbone'"):
        run("list", "backbine")
    assert "matches 'zzz'" in run("list", "head", "zzz")


def test_plugins_and_reasons(run, monkeypatch):
    output = run("plugins")
    assert "heads" in output and umzoo.__version__ in output
    broken = SimpleNamespace(name="rotten", value="rotten", dist=None, load=lambda: 1 / 0)
    zoo = plugins.load_zoo([broken])
    monkeypatch.delenv("UMZOO_PLUGINS", raising=False)
    monkeypatch.setattr(plugins, "zoo", lambda: zoo)
    assert "not loaded: ZeroDivisionError" in run("plugins")


def test_info_of_weights(run, weights):
    output = run("info", weights)
    for part in ("genesis_unet.custom", "mit", "unit", "width"):
        assert part in output
    values = sum(value.numel() for value in umzoo.from_pretrained(weights).state_dict().values())
    assert f"{values:,} values" in output


def test_info_of_a_store(run, tiny_store):
    output = run("info", tiny_store.path)
    assert "ct (4), mr (2)" in output
    assert "a (3), b (1), c (2)" in output


def test_info_of_a_run(run, tmp_path):
    from umzoo.engine.recipe import dump_recipe, load_recipe

    (tmp_path / "recipe.toml").write_text(dump_recipe(load_recipe("universal_tiny", ["trainer.steps=70"])))
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 20, "loss": 0.25}) + "\n")
    output = run("info", tmp_path)
    for part in ("20 of 70", "loss 0.25", "none yet", "restoration (weight 1)"):
        assert part in output


def test_info_of_nothing(run, tmp_path):
    with pytest.raises(WeightsError, match="neither weights"):
        run("info", tmp_path)
    with pytest.raises(WeightsError, match="no weights 'nonsense'"):
        run("info", "nonsense")


def test_import(run, tmp_path):
    torch.save({"state_dict": {"conv.weight": torch.zeros(1)}}, tmp_path / "g.pt")
    with pytest.raises(WeightsError, match="104 missing"):
        run("import", "models_genesis", tmp_path / "g.pt", tmp_path / "out")
    with pytest.raises(UnknownNameError, match="did you mean 'models_genesis'"):
        commands.import_("model_genesis", tmp_path / "g.pt", tmp_path / "out")
