"""The conformance kit finds what is broken, and says so."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import umzoo
from umzoo import testing
from umzoo.backbones.base import BackboneInfo, Level
from umzoo.backbones.primus import PrimusS
from umzoo.testing import ConformanceError, TinyBackbone
from umzoo.weights.io import read_info


class Shift(umzoo.Corruption):
    """Add a number per item."""

    name = "shift"

    def draw(self, image, rng):
        return {"by": rng.uniform((len(image), 1, 1, 1, 1), 0, 0.1)}

    def apply(self, image, params):
        return (image + params["by"]).clamp(0, 1)


class Copy(umzoo.PretextTask):
    """Predict the mean of the image."""

    name = "copy"

    def __init__(self, config, context):
        super().__init__(config, context)
        self.head = nn.Linear(context.backbone.levels[-1].channels, 1)

    def loss(self, features, views):
        return (self.head(features.pooled)[:, 0] - views["image"].mean((1, 2, 3, 4))).square().mean()


class Mean(umzoo.Head):
    """Average the pooled features."""

    name = "mean"

    def __init__(self, config, info):
        super().__init__(config, info)
        self.layer = nn.Linear(info.levels[-1].channels, 1)

    def forward(self, features):
        return self.layer(features.pooled)


def test_sound_components_pass():
    testing.check_backbone(TinyBackbone)
    testing.check_corruption(Shift)
    testing.check_pretext_task(Copy)
    testing.check_head(Mean)


def test_the_error_is_of_both_worlds():
    assert issubclass(ConformanceError, umzoo.UmzooError) and issubclass(ConformanceError, AssertionError)


def broken(base, **members):
    """A subclass of *base* that breaks a promise."""
    return type("Broken", (base,), {"__doc__": base.__doc__, **members})


class Bare(umzoo.Config):
    """An option without a description."""

    p: float = 0.5


@pytest.mark.parametrize(
    "members, complaint",
    [
        ({"name": "CamelCase"}, "lower_snake_case"),
        ({"__doc__": ""}, "docstring"),
        ({"Config": Bare}, "description"),
        ({"draw": lambda self, image, rng: {"by": torch.rand(len(image), 1, 1, 1, 1)}}, "global random state"),
        ({"draw": lambda self, image, rng: {"by": torch.zeros(())}}, "must be the batch"),
        ({"apply": lambda self, image, params: image.add_(0.01)}, "in place"),
        ({"apply": lambda self, image, params: image + 1}, "must stay in"),
        ({"apply": lambda self, image, params: image[..., :8]}, "must keep shape"),
        ({"apply": lambda self, image, params: (image + params["by"][0]).clamp(0, 1)}, "must not depend"),
    ],
)
def test_broken_corruptions(members, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        testing.check_corruption(broken(Shift, **members))


def _extra_parameter(self, config=None):
    TinyBackbone.__init__(self, config)
    self.stem = nn.Conv3d(1, 1, 1)


def _idle_parameter(self, config=None):
    TinyBackbone.__init__(self, config)
    self.encoder.append(nn.Conv3d(1, 1, 1))


def _alias(self, config=None):
    TinyBackbone.__init__(self, config)
    self.decoder.twin = self.encoder[0]


@pytest.mark.parametrize(
    "members, complaint",
    [
        ({"__init__": _extra_parameter}, "must lie under encoder"),
        ({"__init__": _idle_parameter}, "no gradient reaches encoder.2.weight"),
        ({"__init__": _alias}, "two names: encoder.0.weight and decoder.twin.weight"),
        ({"info": BackboneInfo(1, (Level(4, (1, 1, 1)), Level(9, (2, 2, 2))), 4)}, "info promises levels"),
        ({"info": BackboneInfo(1, TinyBackbone.info.levels, 5, divisor=(2, 2, 2))}, "info promises a dense map"),
    ],
)
def test_broken_backbones(members, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        testing.check_backbone(broken(TinyBackbone, **members))


def _overflowing_in_half(self, features, views):
    loss = Copy.loss(self, features, views)
    return loss if features.levels[0].dtype == torch.float32 else loss / 0


class Dropping(PrimusS):
    """Primus in small."""

    def __init__(self, config=None):
        size = {"embed_dim": 36, "heads": 3, "depth": 1, "decoder_channels": 4, "input_shape": (16, 8, 8)}
        super().__init__(self.Config.parse(size))


def _mean(self, image, dense=False, visible=None):
    return PrimusS.forward(self, image, dense)


def _shorter(self, image, dense=False, visible=None):
    features = PrimusS.forward(self, image, dense, visible)
    if visible is not None:
        features.levels[0] = features.levels[0][:, :, 1:]
    return features


def _seen(self, image, dense=False, visible=None):
    features = PrimusS.forward(self, image, dense, visible)
    return features if visible is None else replace(features, levels=[features.levels[0] * image.mean()])


@pytest.mark.parametrize(
    "forward, complaint",
    [(_mean, "must be 0 where tokens are dropped"), (_shorter, "with dropped tokens"), (_seen, "must not matter")],
)
def test_broken_dropping_of_tokens(forward, complaint):
    testing.check_backbone(Dropping)
    with pytest.raises(ConformanceError, match=complaint):
        testing.check_backbone(broken(Dropping, forward=forward))


@pytest.mark.parametrize(
    "members, complaint",
    [
        ({"loss": lambda self, features, views: features.pooled * torch.nan}, "finite scalar"),
        ({"loss": lambda self, features, views: self.head.weight.sum()}, "must reach the backbone"),
        ({"views": lambda self, batch, rng: {"turns": rng.integers((4,), 0, 3)}}, "needs the field 'image'"),
        ({"views": lambda self, batch, rng: {"image": torch.rand(4, 1, 16, 16, 16)}}, "global random state"),
        ({"views": lambda self, batch, rng: {"image": batch["image"] * 3}}, "must stay in"),
        ({"loss": _overflowing_in_half}, "half precision"),
        ({"reads": frozenset({"label"})}, "no batch has: label"),
        ({"obstacle": classmethod(lambda cls, context: "never")}, "must work on"),
    ],
)
def test_broken_pretext_tasks(members, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        testing.check_pretext_task(broken(Copy, **members))


@pytest.mark.parametrize(
    "members, complaint",
    [
        ({"forward": lambda self, features: self.layer(features.pooled).mean()}, "one row per item"),
        (
            {"forward": lambda self, features: features.pooled.detach() * self.layer.weight.sum()},
            "reaches the backbone",
        ),
        ({"dense": True}, "must return 5 axes"),
    ],
)
def test_broken_heads(members, complaint):
    with pytest.raises(ConformanceError, match=complaint):
        testing.check_head(broken(Mean, **members))


def test_training_is_checked_to_the_transferred_weights(tmp_path):
    recipe = {
        "backbone": {"name": "genesis_unet", "width": 2},
        "pretext": {"tasks": [{"name": "restoration"}, {"name": "modality_adversarial"}]},
        "data": {"patch_size": (16, 16, 16), "batch_size": 2, "workers": 0},
    }
    assert len(testing.check_training(recipe, tmp_path, steps=3)) == 3
    citations = read_info(tmp_path / "weights").citations
    assert any("Models Genesis" in work for work in citations) and len(set(citations)) == len(citations)
    assert not any("SAR" in work for work in citations)
