"""The examples of docs/plugins.md work: what they promise of a task with a teacher is tried in training."""

import re
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import umzoo
from umzoo.engine.checkpoint import latest_checkpoint, load_checkpoint
from umzoo.engine.export import export_run
from umzoo.engine.recipe import Recipe
from umzoo.engine.run import Run, open_run
from umzoo.engine.trainer import Trainer
from umzoo.plugins import load_zoo
from umzoo.testing import TinyBackbone, check_pretext_task, training_batch
from umzoo.testing.material import TARGETS
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state

PAGE = Path(__file__).resolve().parents[1] / "docs" / "plugins.md"
MOMENTUM = 0.9


@pytest.fixture(scope="module")
def examples():
    """What the Python blocks of the page define, run one after the other."""
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    return SimpleNamespace(**names)


@pytest.fixture
def slow_twin(examples, tiny_store, tmp_path, monkeypatch):
    """A run of the example with a teacher, by name."""
    found = load_zoo(())
    found.load(SimpleNamespace(register_pretext_tasks=examples.register_pretext_tasks), "twin", "umzoo-twin", "3.1")
    for user in ("engine.trainer", "engine.export", "engine.run_plugins", "weights.folder.writer"):
        monkeypatch.setattr(f"umzoo.{user}.zoo", lambda: found)

    def make(name):
        recipe = {
            "backbone": {"name": "genesis_unet", "width": 2},
            "pretext": {"tasks": [{"name": "slow_twin", "dim": 8, "momentum": MOMENTUM}]},
            "data": {"patch_size": (16, 16, 16), "batch_size": 2, "workers": 0},
            "trainer": {"steps": 4, "checkpoint_every": 2, "log_every": 1, "probe_volumes": 4},
        }
        return Run(tmp_path / name, Recipe.parse(recipe), tiny_store.path)

    return make


def teacher(run):
    state = load_checkpoint(latest_checkpoint(run.checkpoints))["model"]
    return {name.partition(".teacher.")[2]: value for name, value in state.items() if ".teacher." in name}


def test_the_examples_conform(examples):
    examples.test_conforms()
    check_pretext_task(examples.SlowTwin)


@pytest.mark.drawn
def test_the_teacher_follows_and_is_resumed(slow_twin):
    whole, parts = slow_twin("whole"), slow_twin("parts")
    trainer = Trainer(whole, cpu=True)
    before = [value.clone() for value in trainer.model.tasks["slow_twin"].teacher.parameters()]
    trainer.fit()
    assert not any(map(torch.equal, before[:1], trainer.model.tasks["slow_twin"].teacher.parameters()))
    halted = Trainer(parts, cpu=True)
    halted._agree = lambda signum: signal.SIGTERM if halted.step == 2 else None
    halted.fit()
    Trainer(open_run(parts.folder), resume=True, cpu=True).fit()
    assert teacher(whole).keys() == teacher(parts).keys()
    assert all(torch.equal(value, teacher(parts)[name]) for name, value in teacher(whole).items())
    assert {"panel-00000000-slow_twin.png", "curves.png"} <= {file.name for file in whole.pictures.iterdir()}


def test_the_teacher_stays_at_home_and_the_plugin_is_named(slow_twin, tmp_path):
    run = slow_twin("run")
    Trainer(run, cpu=True).fit()
    export_run(run, tmp_path / "weights")
    heads = load_state(tmp_path / "weights", "pretext.safetensors")
    assert {name.split(".")[1] for name in heads} == {"projector", "predictor"}
    provenance = read_info(tmp_path / "weights").provenance
    assert provenance.versions["umzoo-twin"] == "3.1"
    assert "slow_twin.spread" in provenance.metrics and "lr" not in provenance.metrics


def test_a_task_may_export_its_teacher(slow_twin, examples, tmp_path, monkeypatch):
    run = slow_twin("run")
    Trainer(run, cpu=True).fit()
    export_run(run, tmp_path / "student")
    monkeypatch.setattr(examples.SlowTwin, "exported", lambda self, backbone: self.teacher[0])
    export_run(run, tmp_path / "teacher")
    student, exported = load_state(tmp_path / "student"), load_state(tmp_path / "teacher")
    slow = {name.removeprefix("0."): value for name, value in teacher(run).items()}
    assert all(torch.equal(value, slow[name]) for name, value in exported.items())
    assert not all(torch.equal(value, exported[name]) for name, value in student.items())


def test_the_teacher_begins_with_the_weights_that_the_run_begins_with(slow_twin, tmp_path):
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=2), tmp_path / "begin", license="cc0-1.0")
    model = Trainer(slow_twin("run"), cpu=True, weights=tmp_path / "begin").model
    fast, slow = model.backbone.state_dict(), model.tasks["slow_twin"].teacher[0].state_dict()
    assert all(torch.equal(value, slow[name]) for name, value in fast.items())
    begin = load_state(tmp_path / "begin")
    assert any(torch.equal(begin[name], slow[name]) for name in begin if name.endswith("weight"))


def test_the_supervised_example_learns_from_labels(examples):
    check_pretext_task(examples.Supervised)
    context = umzoo.PretextContext(TinyBackbone.info, (16, 16, 16))
    assert "--target" in examples.Supervised.obstacle(context)
    context = replace(context, targets=TARGETS)
    task, batch = examples.Supervised(None, context), training_batch()
    features = TinyBackbone()(batch["image"])
    known = task.loss(features, batch)
    unknown = {"target.age": torch.full((4,), torch.nan), "target.finding": torch.full((4,), -1)}
    assert known > 0 and task.loss(features, {**batch, **unknown}) == 0
    assert task.metrics.keys() == {"age.error", "finding.accuracy", "finding.chance"}
