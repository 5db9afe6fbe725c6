"""Runs that go on with other options, fail, move, or are begun again."""

import json

import pytest
import torch

from umzoo.cli.pretrain import pretrain
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import open_run
from umzoo.engine.trainer import Trainer
from umzoo.errors import ConfigError, DataError, UmzooError

from .test_trainer import TINY, final_state, losses, new_run  # noqa: F401


@pytest.fixture
def stopped(new_run):  # noqa: F811
    """A run that was stopped at step 2 of 4."""
    run = new_run()
    trainer = Trainer(run, cpu=True)
    trainer._agree = lambda signum: 15 if trainer.step == 2 else None
    trainer.fit()
    return run


@pytest.fixture
def failed(new_run):  # noqa: F811
    """A run that diverged before its first checkpoint."""
    run = new_run("run", "trainer.nan_patience=1")
    trainer = Trainer(run, cpu=True)
    with torch.no_grad():
        next(trainer.model.backbone.parameters()).fill_(torch.nan)
    with pytest.raises(UmzooError, match="not finite"):
        trainer.fit()
    return run


def test_a_run_goes_on_with_another_rate_and_more_steps_and_says_so(stopped):
    pretrain("optim.lr=0.01", ["trainer.steps=6"], resume=stopped.folder, cpu=True)
    assert final_state(stopped)["step"] == 6
    assert [step for step, _ in losses(stopped)] == [1, 2, 3, 4, 5, 6]
    recipe = load_recipe(stopped.folder / "recipe.toml")
    assert (recipe.optim.lr, recipe.trainer.steps) == (0.01, 6)
    changes = json.loads((stopped.folder / "run.json").read_text())["changes"]
    assert {(it["step"], it["key"], it["after"]) for it in changes} == {
        (2, "optim.lr", 0.01),
        (2, "trainer.steps", 6),
    }
    assert next(it["before"] for it in changes if it["key"] == "trainer.steps") == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.batch_size=4", "'data.batch_size' cannot change"),
        ("seed=1", "'seed' cannot change"),
        ("optim.name=sgd", "'optim.name' cannot change"),
        ("trainer.ema=0.9", "'trainer.ema' cannot change"),
        ("optim={lr=1}", "'optim' cannot change"),
        ("trainer.stepz=9", "unknown key 'trainer.stepz'.*'steps'"),
        ("trainer.steps=1", "less than the 2 steps"),
        ("universal_tiny", "leave out 'universal_tiny'"),
    ],
)
def test_what_would_change_the_meaning_is_refused_by_name_and_nothing_is_touched(stopped, override, message):
    before = {name: (stopped.folder / name).read_bytes() for name in ("recipe.toml", "run.json", "metrics.jsonl")}
    with pytest.raises(ConfigError, match=message):
        pretrain(override, resume=stopped.folder, cpu=True)
    assert before == {name: (stopped.folder / name).read_bytes() for name in before}


def test_a_finished_run_says_so_and_how_to_lengthen_it(new_run, capsys):  # noqa: F811
    run = new_run()
    Trainer(run, cpu=True).fit()
    before = losses(run)
    pretrain(resume=run.folder, cpu=True)
    assert "is finished: it has done all 4 steps" in (told := capsys.readouterr().err)
    assert "trainer.steps=8" in told
    assert losses(run) == before


def test_a_store_that_moved_names_the_option_and_is_remembered(stopped, tiny_store, tmp_path):
    moved = tmp_path / "moved"
    tiny_store.path.rename(moved)
    with pytest.raises(DataError, match="--data STORE"):
        pretrain(resume=stopped.folder, cpu=True)
    pretrain(data=moved, resume=stopped.folder, cpu=True)
    assert open_run(stopped.folder).data == moved


def test_a_run_that_failed_before_its_first_checkpoint_is_begun_again_in_its_place(failed, tiny_store):
    assert (failed.folder / "failed.json").is_file()
    pretrain("universal_tiny", TINY, data=tiny_store.path, out=failed.folder, cpu=True)
    assert final_state(failed)["step"] == 4
    assert not (failed.folder / "failed.json").exists()
    assert [step for step, _ in losses(failed)] == [1, 2, 3, 4]


def test_a_failed_run_names_what_to_do(new_run, caplog):  # noqa: F811
    run = new_run("run", "trainer.nan_patience=1", "trainer.checkpoint_every=1")
    trainer = Trainer(run, cpu=True)
    trainer._agree = lambda signum: 15
    trainer.fit()
    resumed = Trainer(open_run(run.folder), resume=True, cpu=True)
    with torch.no_grad():
        next(resumed.model.backbone.parameters()).fill_(torch.nan)
    with pytest.raises(UmzooError):
        resumed.fit()
    assert f"continue from step-00000001 with 'umzoo pretrain --resume {run.folder}'" in caplog.text


def test_a_run_with_a_checkpoint_is_replaced_only_when_asked(stopped, tiny_store):
    again = {"data": tiny_store.path, "out": stopped.folder, "cpu": True}
    with pytest.raises(ConfigError, match="--overwrite"):
        pretrain("universal_tiny", TINY, **again)
    with pytest.raises(ConfigError, match="one entry"):
        pretrain("universal_tiny", [*TINY, "data.scales=[1.0]", 'pretext.tasks=[{name = "scale_classification"}]'],
                 **again, overwrite=True)  # fmt: skip
    assert final_state(stopped)["step"] == 2, "a new run that cannot be built removes nothing"
    pretrain("universal_tiny", [*TINY, "trainer.steps=3"], **again, overwrite=True)
    assert final_state(stopped)["step"] == 3
    assert [step for step, _ in losses(stopped)] == [1, 2, 3]


def test_what_no_run_wrote_is_never_removed(failed, tiny_store):
    (failed.folder / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="thesis.tex"):
        pretrain("universal_tiny", TINY, data=tiny_store.path, out=failed.folder, cpu=True, overwrite=True)
    assert (failed.folder / "thesis.tex").exists()
