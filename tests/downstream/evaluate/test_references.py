from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest
import torch

import umzoo
from tests.scans.conftest import as_nifti
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.evaluate import EvaluateConfig, evaluate
from umzoo.downstream.evaluate.case_vectors import SIMPLE, simple_features
from umzoo.downstream.evaluate.common_crop import common_cut
from umzoo.downstream.evaluate.references import feature_table, random_twin
from umzoo.downstream.tasks import load_task
from umzoo.errors import ConfigError, DataError
from umzoo.spec import InputSpec


@pytest.fixture
def task(tmp_path):
    """Scans of 12 persons whose body is bright in every second one, and a table of them."""
    rows = []
    for number in range(12):
        rng = np.random.default_rng(number)
        voxels = np.full((16, 16, 16), -1000.0)
        voxels[3:13, 3:13, 3:13] = 300 if number % 2 else -100
        nibabel.save(
            as_nifti((voxels + rng.normal(0, 30, voxels.shape)).astype(np.int16)), tmp_path / f"s{number}.nii.gz"
        )
        rows.append({"image": f"s{number}.nii.gz", "bright": number % 2, "subject": f"p{number}"})
    with (tmp_path / "scans.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    text = '[task]\nkind = "classification"\ndata = "scans.csv"\ntargets = "bright"\nmodality = "ct"\n'
    (tmp_path / "task.toml").write_text(text)
    return tmp_path / "task.toml"


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    network = umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1))
    umzoo.save_pretrained(network, tmp_path / "w", input=InputSpec(spacing=None, patch_size=(16, 16, 16)))
    return tmp_path / "w"


def test_the_command_says_what_simple_numbers_say_as_well(tmp_path, task, weights, run):
    out = tmp_path / "out"
    text = run("evaluate", task, "--weights", weights, "--out", out, "--seeds", "1", "--cpu", "--crop", "8,8,8")
    assert "page:" in text
    page = (out / "README.md").read_text()
    assert SIMPLE in page
    assert "random resenc_unet_s" in page
    scores = list(csv.DictReader((out / "scores.csv").open()))
    simple = [row for row in scores if row["reference"] == SIMPLE and row["metric"] == "auroc"]
    assert max(float(row["value"]) for row in simple) > 0.95, "brightness alone tells these classes"
    assert (out / "scores.png").is_file()
    assert json.loads((out / "results.json").read_text())
    before = {file: file.stat().st_mtime_ns for file in (out / "features").rglob("*.npz")}
    assert len(before) == 12
    drawn = {row["draw"] for row in csv.DictReader((out / "predictions.csv").open()) if "random" in row["reference"]}
    assert drawn == {"0", "1", "2"}
    run("evaluate", task, "--weights", weights, "--out", out, "--seeds", "1", "--cpu", "--crop", "8,8,8")
    assert {file: file.stat().st_mtime_ns for file in (out / "features").rglob("*.npz")} == before


def test_what_cannot_be_evaluated_is_refused(tmp_path, task, weights, run):
    with pytest.raises(ConfigError, match="give --weights"):
        run("evaluate", task)
    with pytest.raises(ConfigError, match="three numbers"):
        run("evaluate", task, "--weights", weights, "--crop", "8,8")
    with pytest.raises(ConfigError, match="label budget"):
        run("evaluate", task, "--weights", weights, "--labels", "many")


def test_controls_see_what_the_reference_sees(weights, body):
    network = umzoo.from_pretrained(weights, head=False)
    twin = random_twin(network, 0)
    assert twin.weights_info is network.weights_info
    assert not torch.equal(next(twin.parameters()), next(random_twin(network, 1).parameters()))
    numbers = simple_features(umzoo.load_scan(as_nifti(body), network))
    assert numbers.shape == (9 + 6,)
    assert np.isfinite(numbers).all()


def test_a_crop_tells_nothing_of_the_size_of_a_scan(tmp_path, weights):
    """Noise in files of two sizes, which are the classes: whatever the crop, the features do not know them."""
    rows, rng = [], np.random.default_rng(0)
    for number in range(24):
        size = 14 if number % 2 else 20
        noise = rng.normal(0, 300, (size, size, size)).astype(np.int16)
        nibabel.save(as_nifti(noise), tmp_path / f"n{number}.nii.gz")
        rows.append({"image": f"n{number}.nii.gz", "large": 1 - number % 2})
    with (tmp_path / "noise.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (tmp_path / "noise.toml").write_text(
        '[task]\nkind = "classification"\ndata = "noise.csv"\ntargets = "large"\nmodality = "ct"\n'
    )
    task, network = load_task(tmp_path / "noise.toml"), umzoo.from_pretrained(weights, head=False)
    options = EmbedConfig(pooling="mean+max", levels=(0, 1))
    whole, _ = feature_table(task, {"w": network}, tmp_path / "a", options)
    crops, scans = feature_table(task, {"w": network}, tmp_path / "b", options, (16, 16, 16))
    config = EvaluateConfig(seeds=2, bootstrap=100, permutations=100)
    value = {
        name: evaluate(it, config).scores[0].interval.value for name, it in {"whole": whole, "crops": crops}.items()
    }
    assert len(scans) == 24
    assert value["whole"] > 0.95
    assert 0.15 < value["crops"] < 0.85
    with pytest.raises(DataError, match="make --crop smaller"):
        common_cut(task.cases, network.weights_info.input, (3, 3, 3), tmp_path / "c", lambda: None)


@pytest.fixture
def body():
    """A CT volume ``(D, H, W)``."""
    from tests.scans.conftest import make_body

    return make_body()
