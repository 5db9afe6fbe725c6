"""What moves the encoder, and how much."""

import pytest
import torch

from umzoo.corruptions.pipeline import Pipeline
from umzoo.engine.gradient_shares import gradient_shares
from umzoo.fields import Rng
from umzoo.pretext.base import PretextContext, PretextTask
from umzoo.pretext.model import PretextModel
from umzoo.testing import TinyBackbone, training_batch


class Level(PretextTask):
    """Its gradient in the encoder is ``factor`` times that of the pooled features."""

    name = "level"

    def __init__(self, factor):
        super().__init__(None, PretextContext(TinyBackbone.info, (16, 16, 16)))
        self.factor = factor

    def loss(self, features, views):
        return self.factor * features.pooled.sum()


class Own(Level):
    """The same on a view of its own."""

    def views(self, batch, rng):
        return {"image": batch["image"]}


def model(tasks, weights):
    torch.manual_seed(0)
    return PretextModel(TinyBackbone(), tasks, weights, Pipeline([]))


def test_shares_are_those_of_weighted_gradients_and_nothing_is_changed():
    made = model({"a": Level(1.0), "b": Level(-2.0), "c": Own(0.0)}, {"a": 3.0, "b": 0.5, "c": 1.0})
    before = {name: value.clone() for name, value in made.state_dict().items()}
    shares = gradient_shares(made, training_batch(), Rng(0))
    assert shares == pytest.approx({"gradient.a": 0.75, "gradient.b": 0.25, "gradient.c": 0.0})
    assert made.training and all(value.grad is None for value in made.parameters())
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


def test_one_task_has_no_share_and_tasks_that_move_nothing_have_none():
    assert gradient_shares(model({"a": Level(1.0)}, {"a": 1.0}), training_batch(), Rng(0)) == {}
    still = model({"a": Level(0.0), "b": Own(0.0)}, {"a": 1.0, "b": 1.0})
    assert gradient_shares(still, training_batch(), Rng(0)) == {}
