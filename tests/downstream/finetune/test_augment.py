"""Augmentation: what it does to space and to gray levels."""

from itertools import combinations

import pytest
import torch

from umzoo.downstream.finetune.augment import Augmentation
from umzoo.downstream.finetune.config import AugmentationConfig
from umzoo.fields import Rng

OFF = {"rotation": 0.0, "scale": 0.0, "noise": 0.0, "brightness": 0.0, "gamma": (1.0, 1.0)}


def batch(size=(12, 16, 20), count=4, channels=2):
    """Images whose first channel is a smooth ramp, and labels that are a function of it."""
    ramp = torch.stack(torch.meshgrid(*(torch.linspace(0, 1, n) for n in size), indexing="ij")).sum(0)
    image = torch.stack([ramp, 100 * ramp.square()])[:channels].expand(count, -1, -1, -1, -1).clone()
    return {"image": image, "label": (ramp > 1.5).long().expand(count, 1, *size).clone()}


def test_nothing_changes_where_nothing_is_asked():
    given = batch()
    found = Augmentation(AugmentationConfig(**OFF, p=1.0, flip=False))(given, Rng(0))
    torch.testing.assert_close(found["image"], given["image"], atol=1e-3, rtol=1e-3)
    assert torch.equal(found["label"], given["label"])
    assert Augmentation(AugmentationConfig(enabled=False))(given, Rng(0)) is given


def test_flips_are_exact_and_take_the_label_along():
    given = batch()
    found = Augmentation(AugmentationConfig(flip=True, **OFF, p=0.0))(given, Rng(0))
    flips = [axes for n in range(4) for axes in combinations((1, 2, 3), n)]
    for image, label in zip(found["image"], found["label"], strict=True):
        fits = [a for a in flips if torch.allclose(image, given["image"][0].flip(a), atol=1e-3)]
        assert fits and torch.equal(label, given["label"][0].flip(fits[0]))
    assert not all(torch.allclose(image, given["image"][0], atol=1e-3) for image in found["image"])


@pytest.mark.parametrize("size", [(16, 16, 16), (16, 20, 24)])
def test_labels_turn_and_grow_with_their_image(size):
    given = batch(size)
    options = {**OFF, "rotation": 30.0, "scale": 0.2}
    found = Augmentation(AugmentationConfig(**options, p=1.0, flip=False))(given, Rng(1))
    inner = (slice(None), slice(None), *(slice(4, -4),) * 3)
    share = ((found["image"][:, :1] > 1.5).long() == found["label"])[inner].float().mean()
    assert share > 0.95 and not torch.equal(found["label"], given["label"])


def test_thin_crops_are_turned_in_their_plane_alone():
    image = torch.arange(4.0)[:, None, None].expand(2, 1, 4, 24, 24).clone()
    found = Augmentation(AugmentationConfig(**{**OFF, "rotation": 40.0}, p=1.0, flip=False))({"image": image}, Rng(2))
    torch.testing.assert_close(found["image"], image, atol=1e-3, rtol=0)


def test_gray_levels_change_within_the_range_of_their_own_channel():
    given = batch()
    options = AugmentationConfig(**{**OFF, "gamma": (0.5, 0.5)}, p=1.0, flip=False)
    found = Augmentation(options)(given, Rng(3))["image"]
    for channel in range(2):
        low, high = given["image"][:, channel].min(), given["image"][:, channel].max()
        assert found[:, channel].min() >= low - 1e-3 and found[:, channel].max() <= high + 1e-3
        assert not torch.allclose(found[:, channel], given["image"][:, channel], atol=0.01 * float(high))


def test_the_law_of_nnunet_changes_image_and_label_alike():
    given = batch((16, 16, 16), count=24, channels=1)
    found = Augmentation(AugmentationConfig(law="nnunet"))(given, Rng(1, items=range(24)))
    assert found["image"].shape == given["image"].shape and found["label"].dtype == torch.int64
    changed = [not torch.equal(a, b) for a, b in zip(found["image"], given["image"], strict=True)]
    assert 12 < sum(changed) <= 24 and set(found["label"].unique().tolist()) == {0, 1}
    mirrored = Augmentation(AugmentationConfig(law="nnunet", flip=True))(given, Rng(1, items=range(24)))["label"]
    assert not torch.equal(mirrored, found["label"])
    assert torch.equal(mirrored.flatten(1).sum(1), found["label"].flatten(1).sum(1))
    assert "label" not in Augmentation(AugmentationConfig(law="nnunet"))({"image": given["image"]}, Rng(2))


def test_it_is_a_function_of_the_draws():
    augment = Augmentation(AugmentationConfig(p=1.0))
    first, again, other = (augment(batch(), Rng(seed))["image"] for seed in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)
