import math

import pytest
import torch
from torch import nn

from umzoo.downstream.finetune import (
    FinetuneConfig,
    dice_and_cross_entropy,
    draw_patches,
    finetune,
)
from umzoo.downstream.metrics import dice
from umzoo.downstream.predict import predict
from umzoo.downstream.volumes import LabelledVolume
from umzoo.errors import ConfigError
from umzoo.heads.model import Model
from umzoo.heads.segmentation import Segmentation
from umzoo.testing import TinyBackbone


@pytest.fixture
def volumes():
    """A bright ball on a dark ground, twice."""
    torch.manual_seed(0)
    grid = torch.stack(torch.meshgrid(*[torch.arange(20.0)] * 3, indexing="ij"))
    result = []
    for centre in (8, 11):
        label = ((grid - centre).square().sum(0) < 30).long()
        result.append(LabelledVolume(label[None] + 0.1 * torch.randn(1, 20, 20, 20), label))
    return result


def build(seed=0):
    torch.manual_seed(seed)
    backbone = TinyBackbone()
    return Model(backbone, Segmentation.build(Segmentation.Config(classes=2), info=backbone.info))


CONFIG = FinetuneConfig(steps=20, patch_size=(12, 12, 12), lr=2e-2)


def test_learns_and_segments(volumes):
    model = build()
    losses = finetune(model, volumes, CONFIG)
    assert losses[-1] < losses[0] / 2
    answer = predict(model, volumes[0].image, (12, 12, 12)).argmax(0)
    assert dice(answer, volumes[0].label, 2)[0] > 0.8


def test_equal_seeds_give_equal_weights(volumes):
    first, second = build(), build()
    finetune(first, volumes, CONFIG)
    finetune(second, volumes, CONFIG)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_patches_follow_the_seed_and_the_step(volumes):
    image, label = draw_patches(volumes, CONFIG, step=3)
    assert image.shape == (2, 1, 12, 12, 12) and label.shape == (2, 12, 12, 12)
    assert torch.equal(image, draw_patches(volumes, CONFIG, step=3)[0])
    assert not torch.equal(image, draw_patches(volumes, CONFIG, step=4)[0])


def test_small_volumes_are_padded(volumes):
    image, label = draw_patches(volumes, FinetuneConfig(patch_size=(24, 16, 24)), step=0)
    assert image.shape[2:] == label.shape[1:] == (24, 16, 24)


def test_needs_volumes():
    with pytest.raises(ConfigError, match="at least one labelled volume"):
        finetune(build(), [], CONFIG)


def test_loss_of_a_perfect_answer_is_small():
    label = torch.randint(0, 3, (2, 6, 6, 6))
    perfect = 20 * nn.functional.one_hot(label, 3).movedim(-1, 1).float()
    assert dice_and_cross_entropy(perfect, label) < 1e-3 < 1 < dice_and_cross_entropy(-perfect, label)


@pytest.mark.parametrize("shape", [(12, 12, 12), (20, 13, 31), (7, 12, 5)])
def test_sliding_window_covers_every_voxel_once(shape):
    """A network that passes its input on must give it back whatever the windows."""
    image = torch.randn(3, *shape)
    found = predict(nn.Conv3d(3, 3, 1, bias=False).requires_grad_(False).apply(_identity), image, (12, 12, 12))
    assert torch.allclose(found, image.softmax(0), atol=1e-5)


def _identity(layer):
    layer.weight.copy_(torch.eye(3).reshape(3, 3, 1, 1, 1))


def test_dice_of_absent_classes_is_nan():
    answer = torch.tensor([0, 1, 1, 0])
    assert dice(answer, torch.tensor([0, 1, 0, 0]), 3) == pytest.approx([2 / 3, math.nan], nan_ok=True)
