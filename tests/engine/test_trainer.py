import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

import umzoo
from umzoo.backbones.unet import GenesisUNet
from umzoo.data.loading.batch_share import Share
from umzoo.engine.checkpoint import latest_checkpoint, load_checkpoint
from umzoo.engine.export import export_run
from umzoo.engine.log import read_metrics
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run, open_run
from umzoo.engine.trainer import Trainer
from umzoo.errors import CheckpointError, ComponentError, ConfigError, UmzooError
from umzoo.plugins import load_zoo

TINY = [
    "backbone.width=2",
    "data.patch_size=[16, 16, 16]",
    "data.batch_size=2",
    "data.workers=0",
    "optim.warmup_steps=2",
    "trainer.steps=4",
    "trainer.checkpoint_every=2",
    "trainer.log_every=1",
    "trainer.picture_every=4",
    "trainer.probe_every=4",
    "trainer.probe_volumes=8",
]

SELDOM = ("trainer.picture_every=100", "trainer.probe_every=100")


@pytest.fixture
def new_run(tiny_store, tmp_path):
    def make(name="run", *changes):
        return Run(tmp_path / name, load_recipe("universal_tiny", [*TINY, *changes]), tiny_store.path)

    return make


def final_state(run):
    return load_checkpoint(latest_checkpoint(run.checkpoints))


def same(a, b):
    """Whether two nested states are equal bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def losses(run):
    return [(line["step"], line["loss"]) for line in read_metrics(run.folder / "metrics.jsonl") if "loss" in line]


@pytest.mark.drawn
def test_a_run_leaves_what_the_readme_promises(new_run):
    run = new_run()
    assert Trainer(run, cpu=True).fit() is None
    names = {path.name for path in run.folder.iterdir()}
    assert {"recipe.toml", "run.json", "checkpoints", "metrics.jsonl", "pictures", "tensorboard"} <= names
    assert [path.name for path in sorted(run.checkpoints.iterdir())] == ["step-00000002", "step-00000004"]
    assert {"curves.png", "panel-00000000.png", "panel-00000004.png"} <= {p.name for p in run.pictures.iterdir()}
    last = {key for line in read_metrics(run.folder / "metrics.jsonl") for key in line}
    assert {"restoration", "restoration.mean", "restoration.explained", "restoration.explained_altered"} <= last
    assert {"restoration.identity", "restoration.psnr", "scale_classification.accuracy"} <= last
    assert {"health.rank", "health.std", "health.dead"} <= last
    assert {"modality_adversarial.accuracy", "probe.modality", "probe.chance", "wait", "patches_per_second"} <= last


def test_features_that_collapse_are_warned_of_once(new_run, caplog, monkeypatch):
    healths = iter([{"health.rank": rank, "health.std": 1.0, "health.dead": 0.0} for rank in (8.0, 7.0, 2.0, 1.0, 1.0)])
    trainer = Trainer(new_run("run", "trainer.probe_every=1", "trainer.steps=4"), cpu=True)
    monkeypatch.setattr(trainer.evaluator, "probe", lambda *_: next(healths))
    trainer.fit()
    assert [record.message for record in caplog.records if "effective rank" in record.message] == [
        "step 2: the effective rank of the features fell from 8.0 to 2.0:"
        " look at the weights of the tasks, or lower optim.lr"
    ]


def test_a_stop_at_a_step_with_a_checkpoint_loses_nothing(new_run):
    run = new_run()
    trainer = Trainer(run, cpu=True)
    trainer._agree = lambda signum: signal.SIGTERM if trainer.step == 2 else None
    trainer.fit()
    assert final_state(run)["step"] == 2


@pytest.mark.parametrize("changes", [(), ("trainer.ema=0.9", "trainer.accumulate=2", "data.workers=1")])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(new_run, changes):
    whole, parts = new_run("whole", *changes), new_run("parts", *changes)
    Trainer(whole, cpu=True).fit()
    trainer = Trainer(parts, cpu=True)
    trainer._agree = lambda signum: signal.SIGTERM if trainer.step == 2 else None
    assert trainer.fit() == signal.SIGTERM
    assert [step for step, _ in losses(parts)] == [1, 2]
    assert Trainer(open_run(parts.folder), resume=True, cpu=True).fit() is None
    assert losses(whole) == losses(parts)
    for key in ("model", "optimizer", "ema", "samples"):
        assert same(final_state(whole)[key], final_state(parts)[key]), key


def test_trainings_of_two_precisions_in_one_process(new_run):
    runs = [new_run(name, f"trainer.precision={name}", *SELDOM) for name in ("fp32", "bf16")]
    for run in runs:
        Trainer(run, cpu=True).fit()
    exact, rounded = ([loss for _, loss in losses(run)] for run in runs)
    assert exact != rounded and exact[:2] == pytest.approx(rounded[:2], rel=0.05)
    again = new_run("again", *SELDOM)
    Trainer(again, cpu=True).fit()
    assert [loss for _, loss in losses(again)] == exact


def test_equal_seeds_give_equal_runs_and_other_seeds_do_not(new_run):
    runs = [new_run("a"), new_run("b"), new_run("c", "seed=1")]
    for run in runs:
        Trainer(run, cpu=True).fit()
    a, b, c = map(losses, runs)
    assert a == b
    assert a != c


def test_training_lowers_the_restoration_loss(new_run):
    changes = ["trainer.steps=40", "trainer.log_every=5", "pretext.corruptions=[]", "data.scales=[1.0]"]
    run = new_run("long", *changes, "trainer.checkpoint_every=40", "optim.lr=0.02", *SELDOM)
    Trainer(run, cpu=True).fit()
    lines = [line for line in read_metrics(run.folder / "metrics.jsonl") if "restoration" in line]
    assert lines[-1]["restoration"] < 0.5 * lines[0]["restoration"]


def test_a_store_that_grew_does_not_change_a_run(new_run, tiny_store):
    run = new_run()
    Trainer(run, cpu=True).fit()
    index = tiny_store.path / "index.jsonl"
    added = json.loads(index.read_text().splitlines()[0]) | {"id": "added", "modality": "pt"}
    with index.open("a") as stream:
        stream.write(json.dumps(added) + "\n")
    resumed = Trainer(open_run(run.folder), resume=True, cpu=True)
    assert len(resumed.store.records) == 6
    assert resumed.store.modalities == ("ct", "mr")


def test_a_gradient_that_stays_infinite_stops_the_run(new_run):
    run = new_run("bad", "trainer.nan_patience=2")
    trainer = Trainer(run, cpu=True)
    with torch.no_grad():
        next(trainer.model.backbone.parameters()).fill_(torch.nan)
    with pytest.raises(UmzooError, match="not finite for 2 steps"):
        trainer.fit()


class Stranger(umzoo.PretextTask):
    """A task of a plug-in; what is wrong with it is put in by the tests."""

    name = "stranger"

    def __init__(self, config, context):
        super().__init__(config, context)
        self.head = torch.nn.Linear(context.backbone.levels[-1].channels, 1)

    def loss(self, features, views):
        return self.head(features.pooled).square().mean()


@pytest.fixture
def strange_run(new_run, monkeypatch):
    """A run of :class:`Stranger` with changed members."""

    def make(*changes, others='{name = "restoration"}, ', **members):
        found = load_zoo(())
        found.pretext_tasks.add("stranger", type("Changed", (Stranger,), members), "mine")
        monkeypatch.setattr("umzoo.engine.trainer.zoo", lambda: found)
        return new_run("strange", *changes, f'pretext.tasks=[{others}{{name = "stranger"}}]')

    return make


def test_a_nan_whose_gradient_is_finite_stops_the_run_too(strange_run, caplog):
    """The derivative of log at negative numbers is finite."""
    run = strange_run("trainer.nan_patience=2", loss=lambda self, features, views: (features.pooled - 1e9).log().mean())
    trainer = Trainer(run, cpu=True)
    before = [value.clone() for value in trainer.model.parameters()]
    with pytest.raises(UmzooError, match="loss of stranger was not finite for 2 steps in a row"):
        trainer.fit()
    assert "the loss of stranger is not finite, the step is skipped" in caplog.text
    assert all(map(torch.equal, before, trainer.model.parameters()))


def test_parameters_that_get_no_gradient_are_named(strange_run, caplog):
    Trainer(strange_run(loss=lambda self, features, views: features.pooled.square().mean()), cpu=True).fit()
    assert (
        "no gradient reaches tasks.stranger.head.weight, tasks.stranger.head.bias: they are not trained" in caplog.text
    )


@pytest.mark.drawn
def test_every_pass_has_its_panel(strange_run):
    run = strange_run(
        views=lambda self, batch, rng: {
            "image": torch.cat([batch["image"], batch["image"].flip(2)]) * batch["progress"]
        }
    )
    Trainer(run, cpu=True).fit()
    names = {file.name for file in run.pictures.iterdir()}
    assert {"panel-00000004.png", "panel-00000004-stranger.png", "curves.png"} <= names


def test_a_run_that_trains_nothing_of_the_backbone_is_stopped(strange_run):
    detached = lambda self, features, views: self.head(features.pooled.detach()).square().mean()  # noqa: E731
    trainer = Trainer(strange_run(others="", loss=detached), cpu=True)
    with pytest.raises(ComponentError, match="no gradient reaches the backbone"):
        trainer.fit()


def test_a_backbone_outside_the_contract_is_refused_at_once(new_run, monkeypatch):
    class Outside(GenesisUNet):
        def __init__(self, config=None):
            super().__init__(config)
            self.stem = torch.nn.Conv3d(1, 1, 1)

    found = load_zoo(())
    found.backbones.add("outside", Outside, "mine")
    monkeypatch.setattr("umzoo.engine.trainer.zoo", lambda: found)
    run = new_run("outside", "backbone.name=outside")
    with pytest.raises(UmzooError, match="outside has stem.weight, stem.bias"):
        Trainer(run, cpu=True)
    assert not run.folder.exists()


def test_a_task_that_makes_no_sense_is_dropped_aloud(new_run, caplog):
    run = new_run("one_scale", "data.scales=[1.0]")
    trainer = Trainer(run, cpu=True)
    assert "scale_classification" not in trainer.model.tasks
    assert "data.scales has one entry" in caplog.text


def test_with_no_task_left_the_error_says_why(new_run):
    run = new_run("none", "data.scales=[1.0]", 'pretext.tasks=[{name = "scale_classification"}]')
    with pytest.raises(ConfigError, match=r"all pretext tasks of the recipe were dropped.*data\.scales has one entry"):
        Trainer(run, cpu=True)


def test_without_a_dense_task_the_decoder_rests_and_stays_at_home(new_run, tmp_path):
    run = new_run("encoder", 'pretext.tasks=[{name = "scale_classification"}]')
    trainer = Trainer(run, cpu=True)
    assert not any(p.requires_grad for n, p in trainer.model.backbone.named_parameters() if n.startswith("decoder."))
    trainer.fit()
    assert export_run(run, tmp_path / "weights").parts == ("encoder",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.patch_size=[15, 16, 16]", "the nearest is"),
        ("backbone.in_channels=2", "one input channel"),
        ("backbone.name=genesis_net", "genesis_unet"),
        ("pretext.tasks.1.name=restoration", "'as' name"),
        ("trainer.precision=fp16", "'fp16' needs a GPU"),
    ],
)
def test_recipes_that_cannot_work_are_refused(new_run, change, message):
    with pytest.raises(UmzooError, match=message):
        Trainer(new_run("wrong", change), cpu=True)


def test_export_needs_a_checkpoint_and_says_what_it_wrote(new_run, tmp_path):
    run = new_run()
    trainer = Trainer(run, cpu=True)
    with pytest.raises(ConfigError, match="no checkpoint yet"):
        export_run(run, tmp_path / "weights")
    trainer.fit()
    info = export_run(run, tmp_path / "weights", license="cc-by-4.0")
    assert info.name == "genesis_unet.universal_tiny"
    assert info.provenance.steps == 4
    assert info.provenance.samples == 8
    assert info.provenance.modalities == {"ct": 4, "mr": 2}
    text = (tmp_path / "weights" / "config.json").read_text()
    assert str(tmp_path) not in text


def test_a_damaged_checkpoint_is_not_silently_passed_over(new_run):
    run = new_run()
    Trainer(run, cpu=True).fit()
    (latest_checkpoint(run.checkpoints) / "state.pt").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="step-00000002"):
        Trainer(open_run(run.folder), resume=True, cpu=True)


def test_metrics_are_json_lines(new_run):
    run = new_run()
    Trainer(run, cpu=True).fit()
    for line in (run.folder / "metrics.jsonl").read_text().splitlines():
        assert isinstance(json.loads(line)["step"], int)


PLAIN = (
    'backbone={name="resenc_unet_s", features_per_stage=[4, 6, 8], n_blocks_per_stage=1}',
    'pretext.tasks=[{name="restoration"}, {name="scale_classification"}]',
    "data.scales=[1.0, 1.5]",
    "data.matched=0.5",
    "optim.name=sgd",
    "optim.lr=0.01",
    "trainer.checkpoint_every=2",
    "trainer.ema=0.5",
    *SELDOM,
)
"""A network without batch norm, and an optimizer that does not divide by the size of the gradient, nor by that of its
rounding. Half of the crops are not asked for their scale."""


def assert_close(run, other):
    """Whether two runs saw the same and learned the same, to rounding."""
    assert [step for step, _ in losses(run)] == [step for step, _ in losses(other)]
    assert [loss for _, loss in losses(run)] == pytest.approx([loss for _, loss in losses(other)], rel=1e-4)
    first, second = final_state(run), final_state(other)
    assert first["samples"] == second["samples"]
    for part in ("model", "ema"):
        torch.testing.assert_close(first[part], second[part], rtol=1e-3, atol=1e-6)


def test_accumulated_parts_of_a_batch_train_like_the_whole(new_run):
    whole = new_run("whole", *PLAIN, "data.batch_size=4")
    parts = new_run("parts", *PLAIN, "data.batch_size=1", "trainer.accumulate=4")
    for run in (whole, parts):
        Trainer(run, cpu=True).fit()
    assert_close(parts, whole)


def test_accumulation_that_is_changed_changes_the_items_of_a_step(new_run):
    trainer = Trainer(run := new_run("run", *PLAIN), cpu=True)
    trainer._agree = lambda signum: signal.SIGTERM if trainer.step == 2 else None
    trainer.fit()
    assert Trainer(open_run(run.folder), resume=True, cpu=True).share.total == 2
    run = open_run(run.folder, overrides=["trainer.accumulate=3"])
    assert Trainer(run, resume=True, cpu=True).share.total == 6


RANK = """
import os, signal, sys, time
from pathlib import Path
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run
from umzoo.engine.trainer import Trainer

end, folder, store, *changes = sys.argv[1:]
trainer = Trainer(Run(Path(folder), load_recipe("universal_tiny", changes), Path(store)), cpu=True)


def stops_the_launcher(finite):
    # in the third step, the launcher and all processes are sent SIGTERM, as schedulers do; later steps take longer
    if trainer.step == 2 and not trainer.is_main:
        os.kill(os.getppid(), signal.SIGTERM)
    if trainer.step == 2:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2 * (trainer.step > 2))


def dies(finite):
    # in the fourth step, the second process is killed
    if trainer.step == 3 and not trainer.is_main:
        os.kill(os.getpid(), signal.SIGKILL)


trainer.after_update = {"stops the launcher": stops_the_launcher, "dies": dies}[end]
if (signum := trainer.fit()) is not None:
    sys.exit(128 + signum)
"""
"""What each of two processes does."""


def _launched(run, store, changes, end):
    """Train *run* in two processes of torchrun; return its exit code."""
    program = run.folder.with_suffix(".py")
    program.write_text(RANK, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--monitor-interval", "0.1", program, end, run.folder, store.path, *TINY, *changes]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False).returncode


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="two processes on the CPU")
@pytest.mark.parametrize("end", ["stops the launcher", "dies"])
def test_two_processes_train_like_one_and_one_goes_on_for_two(new_run, tiny_store, end):
    changes = (*PLAIN, "trainer.steps=6")
    alone = new_run("alone", *changes, "data.batch_size=4")
    changes += ("trainer.shard=true", "trainer.activation_checkpointing=true") if end == "dies" else ()
    shared = new_run("shared", *changes)
    Trainer(alone, cpu=True).fit()
    assert _launched(shared, tiny_store, changes, end) == 1
    assert time.time() - (shared.folder / "metrics.jsonl").stat().st_mtime < 120, "what is left ends by itself"
    saved = final_state(shared)
    assert saved["processes"] == 2 and 2 <= saved["step"] < 6
    assert len(list(shared.checkpoints.iterdir())) == (2 if saved["step"] > 2 else 1)
    resumed = Trainer(open_run(shared.folder), resume=True, cpu=True)
    assert resumed.share == Share(2, passes=2)
    resumed.fit()
    assert_close(shared, alone)


def test_a_second_training_in_a_run_is_refused(new_run):
    first = Trainer(run := new_run(), cpu=True)
    for second in (replace(run, overwrite=True), run):
        with pytest.raises(ConfigError, match="another training is writing to|is not empty"):
            Trainer(second, cpu=True)
    with pytest.raises(ConfigError, match="another training is writing to"):
        Trainer(open_run(run.folder), resume=True, cpu=True)
    first.fit()
    Trainer(open_run(run.folder), resume=True, cpu=True)
    Trainer(replace(run, overwrite=True), cpu=True)
