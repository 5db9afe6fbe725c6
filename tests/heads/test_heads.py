"""Heads: shapes of the answers, and what they need of a backbone."""

import pytest
import torch
from torch.nn import functional

from umzoo.backbones.base import BackboneInfo, Features, Level
from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.heads.answer import Answer
from umzoo.heads.model import Model
from umzoo.plugins import zoo

INFO = BackboneInfo(1, (Level(4, (1, 1, 1)), Level(6, (2, 2, 2))), decoder_channels=5)


def features(dense=True):
    levels = [Rng(0).normal((2, 4, 8, 8, 8)), Rng(1).normal((2, 6, 4, 4, 4))]
    return Features(levels, Rng(2).normal((2, 5, 8, 8, 8)) if dense else None, levels[-1].mean((2, 3, 4)))


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ({"name": "segmentation", "classes": 3}, (2, 3, 8, 8, 8)),
        ({"name": "segmentation", "classes": 3, "levels": True}, (2, 3, 8, 8, 8)),
        ({"name": "classification", "classes": 4}, (2, 4)),
        ({"name": "regression", "targets": 2}, (2, 2)),
        ({"name": "regression", "targets": 2, "pooling": "octants"}, (2, 2)),
        ({"name": "survival", "standardize": False}, (2, 1)),
        ({"name": "projection", "dim": 7}, (2, 7)),
    ],
)
def test_answers(spec, shape):
    head = zoo().heads.build(spec, info=INFO)
    assert head(features(dense=head.dense)).shape == shape


def test_projection_has_unit_length_unless_told_otherwise():
    head = zoo().heads.build({"name": "projection", "dim": 7}, info=INFO)
    torch.testing.assert_close(head(features()).norm(dim=1), torch.ones(2))
    head = zoo().heads.build({"name": "projection", "dim": 7, "normalize": False}, info=INFO)
    assert not torch.allclose(head(features()).norm(dim=1), torch.ones(2))


def test_segmentation_needs_the_dense_map():
    with pytest.raises(ConfigError, match="needs a backbone with a decoder"):
        zoo().heads.build("segmentation", info=BackboneInfo(1, (Level(4, (1, 1, 1)),), None))
    with pytest.raises(ConfigError, match="dense=True"):
        zoo().heads.build("segmentation", info=INFO)(features(dense=False))


def test_segmentation_reads_every_level_as_one_convolution_on_all_of_them_would():
    head = zoo().heads.build({"name": "segmentation", "classes": 3, "levels": True}, info=INFO)
    seen = features()
    enlarged = [functional.interpolate(level, (8, 8, 8), mode="trilinear") for level in seen.levels]
    kernel = torch.cat([head.layer.weight, *(layer.weight for layer in head.levels)], dim=1)
    expected = functional.conv3d(torch.cat([seen.dense, *enlarged], dim=1), kernel, head.layer.bias)
    torch.testing.assert_close(head(seen), expected)
    assert not zoo().heads.build({"name": "segmentation", "classes": 3}, info=INFO).levels


def test_model_joins_backbone_and_head():
    backbone = zoo().backbones.build({"name": "genesis_unet", "width": 1})
    model = Model(backbone, zoo().heads.build({"name": "segmentation", "classes": 3}, info=backbone.info))
    assert model(Rng(0).uniform((1, 1, 16, 16, 16))).shape == (1, 3, 16, 16, 16)
    assert model.info is backbone.info
    assert {name.partition(".")[0] for name in model.state_dict()} == {"backbone", "head"}


@pytest.mark.parametrize("pooling", ["mean", "octants"])
def test_statistics_standardize_pooled_features(pooling):
    head = zoo().heads.build({"name": "regression", "pooling": pooling}, info=INFO)
    vectors = head.pool(features())
    head.set_statistics(vectors.mean(0), vectors.std(0))
    expected = head.layer((vectors - vectors.mean(0)) / vectors.std(0))
    torch.testing.assert_close(head(features()), expected)
    twin = zoo().heads.build(head.spec, info=INFO)
    twin.load_state_dict(head.state_dict())
    torch.testing.assert_close(twin(features()), expected)


def test_a_feature_that_does_not_vary_is_centered_only():
    head = zoo().heads.build("survival", info=INFO)
    head.set_statistics(torch.zeros(6), torch.zeros(6))
    assert head(features()).isfinite().all()


def test_statistics_must_fit():
    head = zoo().heads.build("classification", info=INFO)
    with pytest.raises(ConfigError, match=r"expected statistics \(6,\), got \(1,\)"):
        head.set_statistics(torch.zeros(1), torch.ones(1))
    plain = zoo().heads.build({"name": "classification", "standardize": False}, info=INFO)
    with pytest.raises(ConfigError, match="standardize = false"):
        plain.set_statistics(torch.zeros(6), torch.ones(6))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"task": "regression", "targets": ["age"], "mean": [1, 2], "std": [1, 2]}, "mean has 2 entries for 1 targets"),
        ({"task": "regression", "targets": ["age"], "mean": [1]}, "come together"),
        ({"task": "classification", "classes": ["a"], "thresholds": {"b": 0.5}}, "which are not classes"),
        ({"task": "survival", "metrics": {"c": float("nan")}}, "finite"),
    ],
)
def test_answers_that_contradict_themselves(options, reason):
    with pytest.raises(ConfigError, match=reason):
        Answer.parse(options, "answer")


def test_fields_of_later_versions_are_kept():
    assert Answer.parse({"task": "survival", "horizon": 5}).model_dump()["horizon"] == 5
