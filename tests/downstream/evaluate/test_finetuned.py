from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

import umzoo
from tests.downstream.evaluate.test_masks import task as task
from tests.downstream.evaluate.test_properties import write_task
from umzoo.downstream.evaluate import EvaluateConfig
from umzoo.downstream.evaluate.case_vectors import SIMPLE
from umzoo.downstream.evaluate.finetuned import TUNED, evaluate_finetuned
from umzoo.downstream.finetune.config import load_config
from umzoo.errors import ConfigError
from umzoo.spec import InputSpec

QUICK = ("trainer.steps=2", "trainer.log_every=1", "data.patch_size=[8,8,8]", "data.batch_size=1")


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    network = umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1))
    umzoo.save_pretrained(network, tmp_path / "w", input=InputSpec(spacing=None, patch_size=(8, 8, 8)))
    return tmp_path / "w"


def test_runs_are_judged_on_persons_they_never_saw_and_are_kept(tmp_path, weights):
    file = write_task(tmp_path)
    options = load_config(file, QUICK)
    config = EvaluateConfig(seeds=1, folds=2, inner_folds=2, bootstrap=100, permutations=100)
    cache = tmp_path / "cache"
    found, ids = evaluate_finetuned(options, file, {"w": str(weights)}, cache, config, cpu=True)
    assert len(ids) == 24
    assert found.predictions["w", TUNED, "100%"].shape == (1, 24, 2)
    assert np.isfinite(found.predictions["from scratch", TUNED, "100%"]).all()
    assert {(it.first, it.second) for it in found.comparisons} == {("w", "from scratch"), ("w", SIMPLE)}
    kept = {it: it.stat().st_mtime_ns for it in (cache / "runs").iterdir()}
    assert len(kept) == 4, "two folds of two references; their checkpoints are gone"
    again, _ = evaluate_finetuned(options, file, {"w": str(weights)}, cache, config, cpu=True)
    assert again.comparisons == found.comparisons
    assert {it: it.stat().st_mtime_ns for it in (cache / "runs").iterdir()} == kept
    several = load_config(file, (*QUICK, "strategy.name=probe"))
    with pytest.raises(ConfigError, match="selected on held-out scans"):
        evaluate_finetuned(several, file, {"w": str(weights)}, cache, config, cpu=True)


def test_the_command_compares_masks_by_fine_tuning(tmp_path, task, weights, run):
    out = tmp_path / "out"
    run("evaluate", task, *QUICK, "--weights", weights, "--out", out, "--seeds", "1", "--cpu", "--finetune")
    assert "fine-tuning of the whole network" in (out / "README.md").read_text()
    rows = list(csv.DictReader((out / "scores.csv").open()))
    assert {row["reference"] for row in rows} == {"resenc_unet_s.custom", "from scratch"}
    assert json.loads((out / "results.json").read_text())[0]["results"][0]["metric"] == "dice"
    with pytest.raises(ConfigError, match="data.patch_size"):
        run("evaluate", task, "--weights", weights, "--out", out, "--finetune", "--crop", "8,8,8")
