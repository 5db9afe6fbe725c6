import math

import pytest
from accelerate import tracking
from accelerate.tracking import GeneralTracker
from accelerate.utils import LoggerType

from umzoo.engine.recipe import TrainerConfig, load_recipe
from umzoo.engine.trackers import check_trackers, flat
from umzoo.engine.trainer import Trainer
from umzoo.errors import ConfigError

from .test_trainer import new_run  # noqa: F401
from .test_training import CONFIG, RISING, Fit

TOLD = []


class Notebook(GeneralTracker):
    """A tracker that keeps what it is told."""

    name = "wandb"
    requires_logging_directory = False

    def __init__(self, run_name, **options):
        super().__init__()
        TOLD.append(("project", (run_name, options)))

    @property
    def tracker(self):
        return TOLD

    def store_init_configuration(self, values):
        TOLD.append(("settings", values))

    def log(self, values, step=None, **options):
        TOLD.append((step, values))

    def finish(self):
        TOLD.append(("finish", None))


@pytest.fixture
def notebook(monkeypatch):
    """What :class:`Notebook` was told, which stands in for W&B."""
    TOLD.clear()
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", Notebook)
    monkeypatch.setattr(tracking, "_available_trackers", [LoggerType.WANDB])
    return TOLD


def test_a_tracker_is_told_the_options_and_every_metric(new_run, notebook):  # noqa: F811
    Trainer(new_run("run", 'trainer.trackers=["wandb"]'), cpu=True).fit()
    told = dict(notebook)
    assert told["project"] == ("umzoo", {"name": "run"})
    assert told["settings"]["trainer.steps"] == 4 and told["settings"]["backbone.name"] == "genesis_unet"
    steps = [step for step, values in notebook if isinstance(step, int) and "loss" in values]
    assert steps == [1, 2, 3, 4]
    assert "restoration/identity" in told[3] and notebook[-1] == ("finish", None)


def test_other_trainings_have_trackers_too_and_close_them_when_they_fail(tmp_path, notebook):
    training = Fit(tmp_path / "run", CONFIG.model_copy(update={"trackers": ("wandb",)}), scores=(0, 1, math.nan))
    with pytest.raises(IndexError):
        training.fit()
    told = [(step, values) for step, values in notebook if isinstance(step, int)]
    assert (1, {"val/score": 1}) in told
    assert all(math.isfinite(value) for _, values in told for value in values.values())
    assert notebook[-1] == ("finish", None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wandv", "no tracker 'wandv' .did you mean 'wandb'.*mlflow"),
        ("tensorboard", "always written"),
        ("mlflow", "'mlflow' is not installed: 'pip install mlflow'"),
    ],
)
def test_what_cannot_be_logged_to_is_refused_with_the_remedy(name, message, tmp_path, monkeypatch):
    monkeypatch.setattr("umzoo.engine.trackers.get_available_trackers", list)
    with pytest.raises(ConfigError, match=message):
        Fit(tmp_path / "run", TrainerConfig(trackers=(name,)), scores=RISING)
    assert not (tmp_path / "run").exists()


def test_options_become_plain_values():
    assert flat({"a": {"b": 1, "c": [1, 2]}, "d": None}) == {"a.b": 1, "a.c": "[1, 2]", "d": None}


def test_recipes_name_trackers():
    recipe = load_recipe("universal_tiny", ['trainer.trackers=["wandb"]'])
    assert recipe.trainer.trackers == ("wandb",)
    check_trackers(load_recipe("universal_tiny").trainer.trackers)


def test_a_tracker_that_fails_does_not_cost_the_training(new_run, notebook, monkeypatch, caplog):  # noqa: F811
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(Notebook, "log", fail)
    trainer = Trainer(new_run("run", 'trainer.trackers=["wandb"]'), cpu=True)
    assert trainer.fit() is None and trainer.step == 4
    assert sum("no route to host" in record.getMessage() for record in caplog.records) == 1
