"""A labeled task that a pre-training looks at between steps."""

import pytest

from tests.engine.test_trainer import final_state, new_run, same  # noqa: F401
from umzoo.downstream.evaluate.online import CONTROL, online_probe
from umzoo.engine.checkpoint import best_checkpoint, load_checkpoint
from umzoo.engine.export import export_run
from umzoo.engine.log import read_metrics
from umzoo.engine.run import open_run
from umzoo.engine.task_probe import SCORE
from umzoo.engine.trainer import Trainer
from umzoo.errors import ConfigError

from .test_masks import task as balls  # noqa: F401
from .test_references import task as classes  # noqa: F401


def test_it_is_logged_the_best_weights_are_kept_and_nothing_else_changes(new_run, balls, tmp_path):  # noqa: F811
    steps = ("trainer.probe_every=2", "trainer.steps=4")
    run, plain = new_run("probed", f"trainer.probe_task={balls}", *steps), new_run("plain", *steps)
    Trainer(run, cpu=True, task_probe=online_probe(run)).fit()
    Trainer(plain, cpu=True).fit()
    assert same(final_state(run)["model"], final_state(plain)["model"])

    lines = [line for line in read_metrics(run.folder / "metrics.jsonl") if SCORE in line]
    assert [line["step"] for line in lines] == [0, 2, 4]
    assert len({line[CONTROL] for line in lines}) == 1 and all(0 <= line[SCORE] <= 1 for line in lines)
    best = max(lines[1:], key=lambda line: line[SCORE])
    state = load_checkpoint(best_checkpoint(run.checkpoints))
    assert (state["step"], state["best_score"]) == (best["step"], pytest.approx(best[SCORE], abs=1e-5))

    info = export_run(open_run(run.folder), tmp_path / "best", best=True)
    assert (info.provenance.steps, info.provenance.metrics[SCORE]) == (best["step"], pytest.approx(best[SCORE]))
    resumed = Trainer(open_run(run.folder), resume=True, cpu=True, task_probe=online_probe(run))
    assert resumed.state()["best_score"] == state["best_score"]


def test_a_vector_answers_for_a_class(new_run, classes):  # noqa: F811
    run = new_run("vectors", f"trainer.probe_task={classes}", "trainer.probe_every=2", "trainer.steps=2")
    Trainer(run, cpu=True, task_probe=online_probe(run)).fit()
    found = [line[SCORE] for line in read_metrics(run.folder / "metrics.jsonl") if SCORE in line]
    assert len(found) == 2 and all(0 <= score <= 1 for score in found)


def test_a_probe_that_nobody_does_is_refused(new_run, balls, tmp_path):  # noqa: F811
    run = new_run("refused", f"trainer.probe_task={balls}")
    with pytest.raises(ConfigError, match="online_probe"):
        Trainer(run, cpu=True)
    both = new_run("both", f"trainer.probe_task={balls}", "trainer.shard=true")
    with pytest.raises(ConfigError, match="does not support trainer.shard"):
        Trainer(both, cpu=True, task_probe=online_probe(both))
    with pytest.raises(ConfigError, match="nowhere.toml"):
        online_probe(new_run("nowhere", f"trainer.probe_task={tmp_path / 'nowhere.toml'}"))
    with pytest.raises(ConfigError, match="no best checkpoint"):
        export_run(new_run("none"), tmp_path / "w", best=True)
