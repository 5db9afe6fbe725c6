"""Running statistics measured anew: answers no longer depend on the batch, and are near those that did."""

import pytest
import torch

from umzoo.backbones.recalibrate import recalibrate
from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.plugins import zoo


@pytest.fixture
def model():
    return zoo().backbones.build({"name": "genesis_unet", "width": 2, "batch_statistics": True}).eval()


def images():
    return [Rng(seed).uniform((2, 1, 16, 16, 16)) for seed in range(4)]


def test_answers_no_longer_depend_on_the_batch(model):
    image = images()[0]
    with_batch = model(image, dense=True).dense
    assert not torch.allclose(model(image[:1], dense=True).dense, with_batch[:1], atol=1e-3)
    assert recalibrate(model, images()) is model
    assert not model.training
    assert not model.config.batch_statistics
    assert not model.caution
    together = model(image, dense=True).dense
    torch.testing.assert_close(model(image[:1], dense=True).dense, together[:1], atol=1e-5, rtol=1e-4)


def test_one_batch_gives_its_own_statistics(model):
    image = Rng(0).uniform((2, 1, 32, 32, 32))
    before = model(image).pooled
    after = recalibrate(model, [image])(image).pooled
    torch.testing.assert_close(before, after, atol=1e-2, rtol=5e-2)  # running variances are unbiased ones


def test_parameters_and_momentum_stay(model):
    before = [value.clone() for value in model.parameters()]
    recalibrate(model, images())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert model.encoder["down_tr64"].ops[0].bn1.momentum == 0.1


def test_what_cannot_be_done_is_said(model):
    with pytest.raises(ConfigError, match="at least one batch"):
        recalibrate(model, [])
    with pytest.raises(ConfigError, match="no batch norm"):
        recalibrate(zoo().backbones.build({"name": "resenc_unet_s", "features_per_stage": [4, 6]}), images())
