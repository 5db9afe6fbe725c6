import gc
import logging
from types import SimpleNamespace

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from umzoo.cli.pretrain import announce
from umzoo.data.store.targets import Target, Targets
from umzoo.engine.build import build_from_recipe
from umzoo.engine.cards import CARDS, bytes_of, find_card
from umzoo.engine.fake_step import take_fake_step
from umzoo.engine.optim import build_optimizer
from umzoo.engine.plan import Plan, make_plan
from umzoo.engine.recipe import load_recipe
from umzoo.engine.trial_step import Call, Passes, build_trial, observe
from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.testing.material import training_batch

NETWORK = '{name="plainconv_unet", features_per_stage=[8, 12], n_conv_per_stage=2, n_conv_per_stage_decoder=1}'
CHANGES = [f"backbone={NETWORK}", "data.patch_size=[32, 32, 32]", "data.batch_size=2"]


def measured(recipe):
    """Bytes at the peak of the second step of the whole model on the CPU, as the profiler saw them come and go."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        model = build_from_recipe(zoo(), recipe, ("ct", "mr"))
        optimizer = build_optimizer(recipe.optim, model)
        batch = training_batch(recipe.data.patch_size, recipe.data.batch_size)
        for step in range(2):
            model(batch, Rng(0, step)).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    held = peak = 0
    for event in sorted(seen.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


RECIPE = load_recipe("universal_tiny", CHANGES)


@pytest.fixture(scope="module")
def whole():
    return make_plan(RECIPE)


def test_memory_is_that_of_a_run_within_a_quarter(whole):
    assert abs(whole.memory / measured(RECIPE) - 1) < 0.25


def test_a_smaller_memory_gets_smaller_passes_of_the_same_step(whole):
    assert (whole.batch, whole.passes, whole.checkpointing) == (2, 1, False)
    part = make_plan(RECIPE, limit=0.7 * whole.memory, card=CARDS["a100"])
    assert (part.batch, part.passes, part.checkpointing) == (1, 2, False)
    assert part.memory <= 0.7 * whole.memory and part.parameters == whole.parameters
    assert 0 < part.seconds < whole.seconds, "a card is faster than this machine"
    assert "timed on this machine" in whole.lines()[2] and "data sheet" in part.lines()[2]
    assert f"for {RECIPE.trainer.steps} steps" in whole.line()


def test_where_one_patch_is_too_much_activations_are_computed_anew():
    passes = Passes((Call(1.0, (1.0, 1.0, 1.0), dense=True),), beside=0)
    plain, again = (take_fake_step(RECIPE, 1, passes, again) for again in (False, True))
    assert again.memory < 0.8 * plain.memory and again.parameters == plain.parameters
    assert again.operations == pytest.approx(4 / 3 * plain.operations, rel=0.1), "the forward pass is taken twice"


def test_memory_does_not_depend_on_when_garbage_is_collected():
    passes, usual = Passes((Call(1.0, (1.0, 1.0, 1.0), dense=True),), beside=0), gc.get_threshold()
    found = []
    for often in (100, 700, 1_000_000):
        gc.set_threshold(often)
        found.append(take_fake_step(RECIPE, 1, passes, again=True).memory)
    gc.set_threshold(*usual)
    assert max(found) < 1.03 * min(found)


def test_passes_of_tasks_with_views_of_their_own_are_counted():
    passes = observe(build_trial(load_recipe("vox2vec_tiny"), 0))
    assert len(passes.calls) > 1 and passes.together().items == 3, "two views of each patch, and the shared one"
    step = take_fake_step(RECIPE, 1, passes, again=False)
    assert step.memory > 2 * take_fake_step(RECIPE, 1, Passes((Call(1.0, (1.0, 1.0, 1.0), True),), 0), False).memory


def test_small_crops_count_by_their_voxels():
    passes = Passes((Call(2.0, (1.0, 1.0, 1.0), False), Call(8.0, (0.5, 0.5, 0.5), True)), beside=0)
    assert passes.together() == Call(3.0, (1.0, 1.0, 1.0), True)


def test_a_trial_is_as_large_as_it_may_be():
    recipe = load_recipe("universal_tiny", ["backbone.width=2", "data.patch_size=[64, 64, 64]"])
    sizes = [build_trial(recipe, voxels).recipe.data.patch_size[0] for voxels in (0, 32**3, 40**3, 1e9)]
    assert sizes == [16, 32, 32, 64]


@pytest.mark.parametrize(
    ("text", "expected"), [("24", 24e9), ("24GB", 24e9), ("24 gib", 24 * 2**30), ("900MB", 9e8), ("1.5TB", 1.5e12)]
)
def test_memory_in_words(text, expected):
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["much", "24 G", "-3GB", "0", "1e3GB"])
def test_no_memory(text):
    with pytest.raises(ConfigError, match="expected an amount of memory"):
        bytes_of(text)


def test_unknown_cards_are_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="did you mean 'a100'"):
        find_card("a10o")


def test_a_trial_has_the_targets_of_the_store():
    known = {"sex": Target(("f", "m")), "age": Target((), 60, 10)}
    batch = build_trial(RECIPE, 0, targets=known).batch(3)
    assert batch["target.sex"].tolist() == [0, 1, 0] and batch["target.age"].tolist() == [50, 60, 70]
    assert len(batch["image"]) == 3


def test_the_command_takes_memory_in_words_or_that_of_a_card(run, monkeypatch, tiny_store):
    asked, stores = [], []

    def foretell(recipe, limit, card, device, **store):
        asked.append((limit, card))
        stores.append(store)
        return Plan(1_000_000, 30_000_000_000, 10**9, 1, 4, True, 0.5, 600, "by a guess")

    monkeypatch.setattr("umzoo.engine.plan.make_plan", foretell)
    text = run("pretrain", "universal_tiny", "--plan", "--memory", "40GB")
    assert "1.0 M" in text and "30.00 GB" in text and "0.5 s per step, 5.0 min for 600 steps, by a guess" in text
    assert "data.batch_size=1 trainer.accumulate=4 trainer.activation_checkpointing=true" in text
    run("pretrain", "universal_tiny", "--plan", "--card", "RTX 4090")
    run("pretrain", "universal_tiny", "--plan")
    assert asked == [(40e9, None), (24e9, CARDS["rtx4090"]), (None, None)]
    run("pretrain", "universal_tiny", "--plan", "--data", tiny_store.path)
    assert stores == [{}, {}, {}, {"modalities": ("ct", "mr"), "targets": {}}]


def test_a_run_says_its_plan_in_one_line_and_goes_on_without(monkeypatch, capsys):
    def foretell(recipe, **options):
        if recipe is None:
            raise RuntimeError("a task of others")
        return Plan(1_000_000, 30_000_000_000, 10**9, 1, 4, True, 0.5, 600, "by a guess")

    monkeypatch.setattr("umzoo.engine.plan.make_plan", foretell)
    level = logging.getLogger("umzoo").level
    for recipe in (RECIPE, None):
        store = SimpleNamespace(modalities=("ct",), targets=Targets())
        announce(SimpleNamespace(recipe=recipe, device=torch.device("cpu"), store=store))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("plan: 1.0 M parameters, peak memory about 30.00 GB")
    assert logging.getLogger("umzoo").level == level
