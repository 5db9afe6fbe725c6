"""The whole tour in small: every part of it is the real one."""

import json

import nibabel
import pytest
from rich.console import Console

from umzoo.downstream.embed.table_files import read_table
from umzoo.downstream.quickstart import QuickstartConfig, quickstart
from umzoo.downstream.quickstart_comparison import ARMS, Outcome, ahead, comparison_table

NAMES = [arm.replace(" ", "-") for arm in ARMS]
SMALL = QuickstartConfig(
    volumes=1,
    labeled=1,
    validation=1,
    test=2,
    size=40,
    overrides=(
        "backbone.features_per_stage=[2, 4, 8]",
        "backbone.n_conv_per_stage=1",
        "data.patch_size=[16, 16, 16]",
        "data.batch_size=2",
        "data.workers=0",
        "trainer.steps=2",
        "trainer.probe_volumes=4",
    ),
    finetune=("trainer.steps=2", "strategy.validate_every=1", "data.batch_size=1"),
    seeds=(0,),
)


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    out = tmp_path_factory.mktemp("tour")
    console = Console(record=True, width=120, quiet=True)
    return out, quickstart(out, SMALL, console), console


def test_compares_both_arms(tour):
    _, outcomes, _ = tour
    assert [outcome.arm for outcome in outcomes] == list(ARMS)
    assert all(len(outcome.dice) == 3 and list(outcome.curve) == [1, 2] for outcome in outcomes)
    assert outcomes[0].curve != outcomes[1].curve or outcomes[0].dice != outcomes[1].dice


def test_the_arms_have_the_same_labels_and_differ_in_weights_alone(tour):
    out, _, _ = tour
    scratch, trained = (json.loads((out / f"finetune/{arm}-0/finetune.json").read_text()) for arm in NAMES)
    assert scratch["config"] == trained["config"] and scratch["config"]["labels"] == "1"
    assert scratch["weights"] is None and scratch["like"] == trained["weights"]


def test_no_labeled_body_is_pretrained_on(tour):
    out, _, _ = tour
    seen = [nibabel.load(file).get_fdata() for file in sorted((out / "phantoms").rglob("*.nii.gz"))]
    labeled = [nibabel.load(file).get_fdata() for file in sorted((out / "labeled" / "images").iterdir())]
    assert len(seen) == 2 and len(labeled) == 4
    assert not any(one.shape == other.shape and (one == other).all() for one in seen for other in labeled)


def test_every_scan_has_a_vector(tour):
    found = read_table(tour[0] / "vectors.csv")
    assert len(found.scans) == 2 and found.features.shape == (2, 8)


def test_leaves_everything_behind(tour):
    out, outcomes, _ = tour
    for file in (
        "finetune/pre-trained-0/pictures/validation.png",
        "learning.png",
        "weights/model.safetensors",
        "run/recipe.toml",
    ):
        assert (out / file).is_file()
    assert json.loads((out / "comparison.json").read_text())[0]["dice"] == outcomes[0].dice


def test_a_second_tour_goes_on_from_the_first(tour):
    out, outcomes, _ = tour
    before = (out / "weights" / "model.safetensors").read_bytes()
    again = quickstart(out, SMALL, Console(quiet=True))
    assert (out / "weights" / "model.safetensors").read_bytes() == before
    assert [outcome.dice for outcome in again] == [outcome.dice for outcome in outcomes]


def test_the_table_shows_who_is_ahead_and_by_how_much():
    dice = {("from scratch", 0): 0.3, ("pre-trained", 0): 0.5, ("from scratch", 1): 0.6, ("pre-trained", 1): 0.5}
    outcomes = [Outcome(arm, seed, {"liver": value}, {1: value}) for (arm, seed), value in dice.items()]
    assert ahead(outcomes) == 1
    console = Console(record=True, width=120)
    console.print(comparison_table(outcomes))
    text = console.export_text()
    assert "+0.050 (-0.100 to +0.200)" in text and "0.450 (0.300 to 0.600)" in text
