"""Meter, run log, signals, schedules and pictures."""

import json
import os
import signal

import pytest
import torch

from umzoo.engine.log import RunLog, read_metrics
from umzoo.engine.meter import Meter
from umzoo.engine.optim import build_optimizer, build_schedule
from umzoo.engine.pictures import EXPLAINED_SHARE, curve_groups, judgment, save_curves, save_panel
from umzoo.engine.recipe import OptimConfig
from umzoo.engine.run import Run, open_run
from umzoo.engine.signals import StopRequest
from umzoo.errors import ConfigError


def test_meter_means_leave_out_items_that_do_not_count():
    meter = Meter()
    meter.add({"accuracy": torch.tensor([1.0, torch.nan]), "loss": torch.tensor(2.0)}, items=2)
    meter.add({"accuracy": torch.tensor([0.0, 1.0]), "loss": torch.tensor(4.0)}, items=2)
    means = meter.flush(waited=0.0)
    assert means["accuracy"] == pytest.approx(2 / 3)
    assert means["loss"] == 3
    assert means["patches_per_second"] > 0
    assert "loss" not in meter.flush(waited=0.0)


def test_a_resumed_log_does_not_repeat_lines(tmp_path):
    metrics = {"loss": 1.0, "patches_per_second": 1.0, "wait": 0.0}
    with RunLog(tmp_path, 10, 0, active=True) as log:
        for step in (1, 2, 3):
            log.write(step, metrics | {"bad": float("nan")})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 4, "los')
    with RunLog(tmp_path, 10, 2, active=True) as log:
        log.write(3, metrics)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[0]["bad"] is None


@pytest.fixture
def interruptible():
    """SIGINT as Python has it by default; shells let what they start in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_first_signal_is_noted_and_the_second_acts():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signum == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has neither SIGHUP nor SIGUSR1")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1"])
def test_a_closing_terminal_and_a_scheduler_only_ask(name):
    number = getattr(signal, name)
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)  # as these tests may have been started under nohup
    before = signal.getsignal(number)
    with StopRequest() as stop:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop.signum == number
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signum == signal.SIGTERM
    assert signal.getsignal(number) == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.signum is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("schedule", ["cosine", "poly", "constant"])
def test_schedules_warm_up_and_are_functions_of_the_step(schedule):
    config = OptimConfig(lr=0.1, schedule=schedule, warmup_steps=10)
    rates = []
    for step in (0, 5, 10, 50, 99, 5):
        optimizer = build_optimizer(config, torch.nn.Linear(2, 2))
        build_schedule(config, optimizer, 100).step_update(step)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[0] < rates[1] < rates[2] == pytest.approx(0.1)
    assert rates[1] == rates[5]
    assert rates[4] <= rates[3] <= 0.1 + 1e-9


def test_unknown_optimizers_are_a_config_error():
    with pytest.raises(ConfigError, match="optim.name"):
        build_optimizer(OptimConfig(name="no_such_optimizer"), torch.nn.Linear(2, 2))


def test_a_run_does_not_begin_in_a_used_folder(tmp_path):
    from umzoo.engine.recipe import load_recipe

    run = Run(tmp_path / "run", load_recipe("universal_tiny"), tmp_path / "store")
    run.begin(("a", "b"))
    assert open_run(tmp_path / "run").volumes == ("a", "b")
    assert open_run(tmp_path / "run").recipe == run.recipe
    with pytest.raises(ConfigError, match="--resume"):
        run.begin(("a", "b"))
    with pytest.raises(ConfigError, match="not a run"):
        open_run(tmp_path)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["volumes"] == ["a", "b"]


def test_a_metric_is_drawn_beside_what_it_has_to_beat():
    logged = ["loss", "rubik.accuracy", "rubik.chance", "rubik.turn_accuracy", "mae", "mae.baseline"]
    assert curve_groups(logged) == {
        "mae loss": ["mae", "mae.baseline"],
        "rubik accuracy": ["rubik.accuracy", "rubik.chance"],
        "turn_accuracy": ["rubik.turn_accuracy"],
    }
    restoration = ["restoration", "restoration.mean", "restoration.identity"]
    shares = ["restoration.explained", "restoration.explained_altered", "mae.explained"]
    assert curve_groups(restoration + shares) == {"restoration loss": restoration, EXPLAINED_SHARE: shares}
    assert curve_groups(["loss", "restoration.psnr", "probe.chance"]).keys() == {"PSNR (dB)", "modality probe"}
    assert curve_groups(["loss"]) == {"loss": ["loss"]}


def test_a_panel_says_how_much_of_the_clean_patch_was_restored():
    clean = torch.rand(4, 8, 8)
    gray = clean.mean().expand_as(clean)
    assert judgment("restored", {"clean": clean, "restored": clean}) == "100% of variance"
    assert judgment("restored", {"clean": clean, "restored": gray}) == "0% of variance"
    flat = torch.zeros(4, 8, 8)
    assert judgment("restored", {"clean": flat, "restored": flat}) == ""
    assert judgment("seen", {"clean": clean, "seen": clean}) == ""


def test_pictures_are_written_whole(tmp_path):
    patch = torch.rand(4, 8, 8)
    restored = {"clean": patch, "seen": patch, "restored": patch}
    save_panel(tmp_path / "p" / "panel.png", [("ct", restored), ("mr", {"seen": patch})])
    logged = {"restoration.identity": 6.0, "restoration.mean": 1.0, "restoration.explained": 0.3}
    save_curves(tmp_path / "p" / "curves.png", [{"step": i, "restoration": 1 / i, **logged} for i in range(1, 200)])
    save_curves(tmp_path / "p" / "empty.png", [])
    assert sorted(file.name for file in (tmp_path / "p").iterdir()) == ["curves.png", "empty.png", "panel.png"]
