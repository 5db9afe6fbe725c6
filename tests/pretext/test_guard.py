"""What tasks of strangers do wrong is said in one line that names the task, and the line of its code."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import umzoo
from umzoo.corruptions.paint import Paint
from umzoo.corruptions.pipeline import Pipeline
from umzoo.errors import ComponentError, ConfigError
from umzoo.pretext.guard import GuardedModel
from umzoo.testing import TinyBackbone, training_batch


class Sound(umzoo.PretextTask):
    """Flip, and make features small."""

    name = "sound"

    def __init__(self):
        super().__init__(self.Config(), umzoo.PretextContext(TinyBackbone.info, (16, 16, 16)))
        self.head = nn.Linear(8, 1)

    def views(self, batch, rng):
        return {"image": batch["image"].flip(2)}

    def loss(self, features, views):
        return self.head(features.pooled).square().mean()


class Mine(umzoo.Corruption):
    """Draw what is not there."""

    name = "mine"

    def draw(self, image, rng):
        return {"corner": rng.integers((len(image),), 0, -1)}

    def apply(self, image, params):
        return image


def guarded(corruptions=(), **members):
    task = type("Task", (Sound,), members)()
    return GuardedModel(TinyBackbone(), {"mine": task}, {"mine": 1.0}, Pipeline(corruptions))


def view(make):
    return lambda self, batch, rng: {"image": make(batch["image"])}


def in_place(self, batch, rng):
    batch["image"].mul_(0.5)
    return {"image": batch["image"]}


def metric(self, features, views):
    self.metrics["mood"] = "good"
    return Sound.loss(self, features, views)


MISTAKES = [
    (
        {"views": lambda self, batch, rng: {"image": batch["mask"]}},
        r"views, test_guard.py line \d+: KeyError: 'mask'.*image, m",
    ),
    (
        {"loss": lambda self, features, views: views["target"]},
        r"loss, test_guard.py line \d+: KeyError: 'target' \(fields",
    ),
    ({"loss": lambda self, features, views: features.dense.mean()}, "test_guard.py.*NoneType.*sets dense = True"),
    (
        {"loss": lambda self, features, views: self.head(features.levels[0]).sum()},
        r"test_guard.py line \d+: RuntimeError",
    ),
    (
        {"loss": lambda self, features, views: features.pooled},
        r"must be a tensor of one number, \(\), got a tensor \(4, 8\)",
    ),
    ({"loss": lambda self, features, views: 1.0}, "one number.*got 1.0"),
    ({"loss": metric}, "metric 'mood' .*number, got 'good'"),
    ({"views": lambda self, batch, rng: {"picture": batch["image"]}}, r"no 'image' \(it has picture\)"),
    (
        {"views": lambda self, batch, rng: {**batch, "clean": batch["image"][:3]}},
        r"'clean'.*\(k \* 4, C, D, H, W\).*\(3, 1",
    ),
    ({"views": view(lambda image: image[:, 0])}, r"'image'.*must be \(k \* 4, C, D, H, W\).*got \(4, 16, 16, 16\)"),
    (
        {"views": view(lambda image: image[:, :, :7])},
        r"view of pretext task 'mine' does not fit: tiny takes.*\(8, 16, 16\)",
    ),
    ({"views": view(lambda image: 5 * image)}, r"must be in \[0, 1\]"),
    ({"views": in_place}, "changes image of the batch in place: clone first"),
]


@pytest.mark.parametrize(("members", "message"), MISTAKES)
def test_mistakes_are_named(members, message):
    with pytest.raises(ComponentError, match=message) as caught:
        guarded(**members)(training_batch(), umzoo.Rng(0))
    assert "pretext task 'mine'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_report_tells_a_failure_from_a_refusal():
    assert issubclass(ComponentError, AssertionError)

    def refuse(self, batch, rng):
        raise ConfigError("give me two")

    with pytest.raises(ConfigError, match="^give me two$"):
        guarded(views=refuse)(training_batch(), umzoo.Rng(0))


def test_a_corruption_is_named_by_its_line():
    with pytest.raises(ComponentError, match=r"a corruption failed in draw or apply, test_guard.py .*0 to -1"):
        guarded([Mine(None)], views=lambda self, batch, rng: None)(training_batch(), umzoo.Rng(0))


@pytest.mark.parametrize(
    "draw, state",
    [(lambda: torch.rand(()), "torch's"), (lambda: np.random.rand(), "numpy's"), (random.random, "Python's")],
)
def test_draws_from_a_global_state_are_noticed_once(draw, state, caplog):
    model = guarded(views=view(lambda image: image * float(draw())))
    for _ in range(2):
        model(training_batch(), umzoo.Rng(0))
    assert caplog.text.count(f"uses {state} global random state") == 1


def test_corruptions_that_no_task_sees_are_noticed(caplog):
    paint = Paint.build(Paint.Config())
    guarded([paint])(training_batch(), umzoo.Rng(0))
    assert "pretext.corruptions have no effect" in caplog.text
    caplog.clear()
    guarded([paint], views=lambda self, batch, rng: None)(training_batch(), umzoo.Rng(0))
    assert caplog.text == ""


def test_metrics_may_be_plain_numbers_and_do_not_outlive_their_step():
    def loss(self, features, views):
        self.metrics.update({"half": 0.5} if int(views["step"]) else {})
        return Sound.loss(self, features, views)

    model = guarded(loss=loss)
    assert model(training_batch(), umzoo.Rng(0)).parts["mine.half"] == 0.5
    assert "mine.half" not in model(training_batch() | {"step": torch.tensor(0)}, umzoo.Rng(0)).parts


def test_pictures_are_images():
    model = guarded(pictures=lambda self, features, views: {"answer": features.pooled})
    (made,) = model.passes(training_batch(), umzoo.Rng(0))
    with pytest.raises(ComponentError, match=r"picture 'answer' of pretext task 'mine' must be \(k \* 4, C"):
        model.task_pictures("mine", made.features, made.view)


def test_the_line_named_is_not_umzoos_nor_torchs():
    from umzoo.blame import others

    assert str(Path(torch.nn.__file__)).startswith(others()) and str(Path(umzoo.__file__)).startswith(others())
    assert not str(Path(umzoo.__file__).parents[1] / "umzoo_mine.py").startswith(others())
