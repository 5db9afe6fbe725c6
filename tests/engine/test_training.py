"""The engine, with a training of its own: a line through points."""

from contextlib import nullcontext
from itertools import count

import pytest
import torch

from umzoo.engine.checkpoint import best_checkpoint, latest_checkpoint, load_checkpoint
from umzoo.engine.log import read_metrics
from umzoo.engine.recipe import OptimConfig, TrainerConfig
from umzoo.engine.training import Training
from umzoo.errors import ConfigError, UmzooError
from umzoo.pretext.model import Output

from .test_trainer import same

CONFIG = TrainerConfig(steps=6, checkpoint_every=2, log_every=1, picture_every=6, keep=1, ema=0.5)


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
        self.dropout = torch.nn.Dropout(0.2)

    def forward(self, batch, rng):
        loss = (self.second(self.dropout(self.first(batch["x"]))) - batch["y"]).square().mean()
        return Output(loss, {"line": loss.detach()})


class Fit(Training):
    """Validates by *scores*, one a step, and stops when none has been better for two steps."""

    def __init__(self, folder, config=CONFIG, optim=None, scores=(1.0,) * 99, **options):
        self.scores, self.best, self.waited, self.before = scores, -1.0, 0, []
        super().__init__(folder, config, optim or OptimConfig(lr=0.1, weight_decay=0.0), seed=3, cpu=True, **options)

    def require_new(self):
        if self.checkpoints.exists():
            raise ConfigError("used")

    def begin(self):
        self.folder.mkdir(exist_ok=True)

    def build_model(self):
        torch.manual_seed(0)
        return Line()

    def parameter_groups(self, model):
        return [
            {"params": list(model.first.parameters()), "lr_scale": 0.0},
            {"params": list(model.second.parameters()), "lr_scale": 0.5},
        ]

    @property
    def batch_size(self):
        return 4

    def batches(self, start):
        def draw(number):
            generator = torch.Generator().manual_seed(number)
            x = torch.randn(4, 2, generator=generator)
            return {"x": x, "y": x.sum(1, keepdim=True)}

        return nullcontext(map(draw, count(start)))

    def prepare_batch(self, raw, rng):
        return raw, rng

    def before_step(self):
        self.before.append(self.step)

    def evaluate(self, last):
        score = self.scores[self.step]
        self.waited = 0 if score > self.best else self.waited + 1
        if score > self.best:
            self.best = score
            self.save_best()
        return {"val.score": score}

    def state(self):
        return {"best": self.best, "waited": self.waited}

    def load_state(self, state):
        self.best, self.waited = state["best"], state["waited"]

    def should_stop(self):
        return self.waited >= 2


RISING = tuple(range(99))


def test_groups_keep_their_share_of_the_learning_rate(tmp_path):
    training = Fit(tmp_path / "run", scores=RISING)
    first, second = (training.model.first.weight.clone(), training.model.second.weight.clone())
    training.fit()
    assert torch.equal(training.model.first.weight, first)
    assert not torch.equal(training.model.second.weight, second)
    assert training.before == list(range(6)) and training.samples == 24


def test_metrics_of_the_subclass_are_logged(tmp_path):
    Fit(tmp_path / "run", scores=RISING).fit()
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["val.score"] for line in lines if "val.score" in line] == list(range(7))
    assert {"loss", "line", "lr"} <= set().union(*lines)


def test_it_stops_early_and_the_best_outlives_what_came_after(tmp_path):
    training = Fit(tmp_path / "run", scores=(0, 5, 4, 3, 9, 9, 9))
    assert training.fit() is None
    assert training.step == 3
    assert load_checkpoint(best_checkpoint(training.checkpoints))["step"] == 1
    assert load_checkpoint(latest_checkpoint(training.checkpoints))["step"] == 3
    last = training.model.second.weight.clone()
    assert training.load_best() == 1
    assert not torch.equal(training.model.second.weight, last)
    resumed = Fit(tmp_path / "run", scores=(0, 5, 4, 3, 9, 9, 9), resume=True)
    resumed.fit()
    assert resumed.step == 3, "a training that is over stays over"


def test_a_resumed_training_equals_the_uninterrupted_one_with_its_own_state(tmp_path):
    scores = (0, 5, 6, 3, 7, 6, 1)
    Fit(tmp_path / "whole", scores=scores).fit()
    parts = Fit(tmp_path / "parts", scores=scores)
    parts._agree = lambda signum: 15 if parts.step == 3 else None
    assert parts.fit() == 15
    Fit(tmp_path / "parts", scores=scores, resume=True).fit()
    for find in (latest_checkpoint, best_checkpoint):
        a, b = (load_checkpoint(find(tmp_path / name / "checkpoints")) for name in ("whole", "parts"))
        for key in a.keys() - {"seconds"}:
            assert same(a[key], b[key]), key


def test_options_come_from_the_configuration_and_not_from_the_checkpoint(tmp_path):
    training = Fit(tmp_path / "run", optim=OptimConfig(name="sgd"), scores=RISING)
    training._agree = lambda signum: 15
    training.fit()
    optim = OptimConfig(name="sgd", lr=0.01, weight_decay=0.25, schedule="constant", momentum=0.5)
    groups = Fit(tmp_path / "run", optim=optim, scores=RISING, resume=True).optimizer.param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0, 0.005])
    assert {group["weight_decay"] for group in groups} == {0.25}
    assert {group["momentum"] for group in groups} == {0.5}


def test_a_loss_that_is_not_finite_is_named_and_the_failure_kept(tmp_path, caplog):
    training = Fit(tmp_path / "run", CONFIG.model_copy(update={"nan_patience": 2}), scores=RISING)
    with torch.no_grad():
        training.model.second.bias.fill_(torch.inf)
    with pytest.raises(UmzooError, match="the loss was not finite for 2 steps"):
        training.fit()
    assert (tmp_path / "run" / "failed.json").is_file()
    assert "resume the run in" in caplog.text


def test_energy_is_summed_over_what_was_interrupted(tmp_path):
    for joules, steps in ((30.0, 3), (12.0, 6)):
        training = Fit(tmp_path / "run", scores=RISING, resume=steps == 6)
        training._energy.joules = lambda joules=joules: joules
        training._agree = lambda signum, training=training, steps=steps: 15 if training.step == steps else None
        training.fit()
    assert load_checkpoint(latest_checkpoint(training.checkpoints))["joules"] == 42.0


def test_only_a_training_that_can_be_shared_out_is(tmp_path):
    with pytest.raises(ConfigError, match="trainer.shard is only supported in pre-training"):
        Fit(tmp_path / "run", CONFIG.model_copy(update={"shard": True}))
