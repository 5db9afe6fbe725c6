"""The whole tour in small: every part of it is the real one."""

import json

import pytest
from rich.console import Console

from umzoo.downstream.quickstart import ARMS, QuickstartConfig, quickstart

SMALL = QuickstartConfig(
    volumes=1,
    labeled=1,
    held_out=1,
    size=40,
    overrides=(
        "backbone.width=2",
        "data.patch_size=[16, 16, 16]",
        "data.batch_size=2",
        "data.workers=0",
        "trainer.steps=2",
        "trainer.probe_volumes=4",
    ),
    finetune=("trainer.steps=2", "trainer.log_every=1", "data.batch_size=1", "data.patch_size=[24, 24, 24]"),
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
    assert all(len(outcome.dice) == 3 and len(outcome.losses) == 2 for outcome in outcomes)
    assert outcomes[0].losses != outcomes[1].losses


def test_leaves_everything_behind(tour):
    out, outcomes, _ = tour
    for file in (
        "finetune/pre-trained-0/pictures/validation.png",
        "finetuning.png",
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
