"""``umzoo info`` and ``umzoo import`` as a user meets them."""

import json

import pytest
import torch

import umzoo
from umzoo.errors import UnknownNameError, WeightsError


@pytest.fixture
def weights(tmp_path):
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=1), tmp_path / "w", license="mit")
    return tmp_path / "w"


def test_info_of_weights(run, weights):
    output = run("info", weights)
    intensity = "intensity\tct: -1000 to 1000; *: percentiles 0.5 to 99.5\n"
    for part in ("genesis_unet.custom", "mit", "unit", "width", intensity):
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
    lines = ({"step": 10, "loss": 0.5}, {"step": 20, "loss": 0.25}, {"step": 20, "probe.modality": 0.75})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    output = run("info", tmp_path)
    for part in ("20 of 70", "step 20, loss 0.25, probe.modality 0.75", "none yet", "restoration (weight 1)"):
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
        run("import", "model_genesis", tmp_path / "g.pt", tmp_path / "out")
