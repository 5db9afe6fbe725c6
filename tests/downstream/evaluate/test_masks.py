from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest
import torch

import umzoo
from tests.scans.conftest import as_nifti
from umzoo.downstream.evaluate.decoder import Moments, Voxels, choose_decoder, discriminant
from umzoo.downstream.evaluate.masks import PLACE
from umzoo.downstream.evaluate.voxels import network_maps, plain_maps
from umzoo.spec import InputSpec


@pytest.fixture
def task(tmp_path):
    """Nine scans with a bright ball whose place changes, and its masks."""
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "labelsTr").mkdir()
    place = np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"), -1)
    for number in range(9):
        rng = np.random.default_rng(number)
        ball = (np.linalg.norm(place - rng.integers(4, 12, 3), axis=-1) < 4).astype(np.uint8)
        voxels = -500 + 700.0 * ball + rng.normal(0, 40, ball.shape)
        nibabel.save(as_nifti(voxels.astype(np.int16)), tmp_path / "imagesTr" / f"c{number}_0000.nii.gz")
        nibabel.save(as_nifti(ball), tmp_path / "labelsTr" / f"c{number}.nii.gz")
    about = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "ball": 1}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps({**about, "numTraining": 9}))
    (tmp_path / "balls.toml").write_text('[task]\nkind = "segmentation"\ndata = "."\n')
    return tmp_path / "balls.toml"


@pytest.fixture
def network():
    torch.manual_seed(0)
    return umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1)).eval()


def test_the_command_finds_what_intensity_finds(tmp_path, task, network, run):
    umzoo.save_pretrained(network, tmp_path / "w", input=InputSpec(spacing=None, patch_size=(8, 8, 8)))
    out = tmp_path / "out"
    options = ("--out", out, "--seeds", "1", "--cpu", "--labels", "3,100%")
    text = run("evaluate", task, "--weights", tmp_path / "w", *options)
    assert "of labels:" in text
    page = (out / "README.md").read_text()
    assert "linear decoder of voxels" in page
    scores = {
        (row["reference"], row["budget"]): float(row["value"]) for row in csv.DictReader((out / "scores.csv").open())
    }
    assert {name for name, _ in scores} >= {PLACE, "random resenc_unet_s"}
    assert scores[PLACE, "100%"] > 0.9, "the ball is what is bright"
    assert all(0 <= value <= 1 for value in scores.values())
    rows = list(csv.DictReader((out / "predictions.csv").open()))
    assert {"dice", "ball"} <= rows[0].keys()
    assert json.loads((out / "results.json").read_text())[0]["results"][0]["task"] == "image-segmentation"


@pytest.mark.parametrize("kind", ["network", "plain"])
def test_voxels_learned_from_are_those_that_are_answered(network, kind):
    """A linear answer over the whole image, and the same taken of single voxels' features."""
    patch = (8, 8, 8)
    source = network_maps(network, lambda size: patch) if kind == "network" else plain_maps(lambda size: patch)
    rng, image = np.random.default_rng(0), torch.randn(1, 8, 7, 6)
    points = rng.integers(0, (8, 7, 6), (20, 3))
    rows = source.at(image, points)
    weight, bias = torch.randn(3, rows.shape[1]), torch.randn(3)
    whole = source.linear(image, weight, bias)
    assert whole.shape == (3, 8, 7, 6)
    z, y, x = points.T
    torch.testing.assert_close(whole[:, z, y, x].T, rows @ weight.T + bias, atol=1e-3, rtol=1e-3)


def draw(rng, count=300, width=6):
    labels = rng.choice(3, count, p=(0.8, 0.15, 0.05))
    rows = rng.normal(size=(count, width)) + 2.5 * np.eye(3, width)[labels]
    return Voxels(rows, labels, np.ones(count))


def test_the_discriminant_is_that_of_others():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    drawn = draw(np.random.default_rng(0), 4000)
    found = discriminant(Moments.of([drawn], 3), 1e-6, 1.0)
    said = (drawn.rows @ found.weight.T + found.bias).argmax(1)
    wanted = LinearDiscriminantAnalysis(solver="lsqr").fit(drawn.rows, drawn.labels).predict(drawn.rows)
    assert (said == wanted).mean() > 0.98


def test_settings_are_chosen_on_parts_that_were_not_learned_from():
    rng = np.random.default_rng(1)
    drawn = {part: [draw(rng), draw(rng)] for part in range(3)}
    parts = {part: Moments.of(voxels, 3) for part, voxels in drawn.items()}
    found, test = choose_decoder(parts, drawn), draw(rng, 4000)
    said = (test.rows @ found.weight.T + found.bias).argmax(1)
    assert (said == test.labels).mean() > 0.85
    one = choose_decoder({0: parts[0]}, {0: drawn[0]})
    assert one.weight.shape == (3, 6)


def test_a_class_that_was_not_there_is_never_answered():
    drawn = draw(np.random.default_rng(2))
    kept = drawn.labels != 2
    found = discriminant(Moments.of([Voxels(drawn.rows[kept], drawn.labels[kept], drawn.shares[kept])], 3), 0.01, 0.5)
    assert set((drawn.rows @ found.weight.T + found.bias).argmax(1)) <= {0, 1}
