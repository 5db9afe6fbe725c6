"""Batches that are augmented on the device, in nnU-Net's own training."""

import math

import pytest
import torch

pytest.importorskip("nnunetv2")

from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from umzoo.errors import ConfigError
from umzoo.nnunet.training.batch_augmentation import batch_augmentation

PATCH, LARGER, ANGLE = (8, 10, 12), (12, 14, 16), math.pi / 6
CPU = torch.device("cpu")


def transforms(planar=False, mirror=(0, 1, 2), **options):
    return nnUNetTrainer.get_training_transforms(PATCH, (-ANGLE, ANGLE), (1.0, 0.5), mirror, planar, **options)


def batch(count=3, size=LARGER):
    label = torch.randint(-1, 3, (count, 1, *size), dtype=torch.int16)
    return {"data": torch.randn(count, 1, *size), "target": label, "keys": list(range(count))}


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("mirror", [(0, 1, 2), None])
def test_batches_have_the_form_that_nnunet_gives_them(planar, mirror):
    size = (PATCH[0], *LARGER[1:]) if planar else LARGER
    augment = batch_augmentation(transforms(planar, mirror), PATCH, ANGLE, mirror, planar, [-1, 0, 1, 2])
    made = augment(batch(3, size), CPU)
    item = transforms(planar, mirror)(image=torch.randn(1, *size), segmentation=batch(1, size)["target"][0])
    assert made["data"].shape == (3, *item["image"].shape) and made["data"].dtype == item["image"].dtype
    assert [one.shape[1:] for one in made["target"]] == [one.shape for one in item["segmentation"]]
    assert made["target"][0].dtype == item["segmentation"][0].dtype and made["target"][0].min() == 0


def test_regions_and_masks_are_applied():
    options = {"regions": [(1, 2), (2,)], "use_mask_for_norm": [True]}
    made = batch_augmentation(transforms(mirror=(), **options), PATCH, ANGLE, (), False, [-1, 0, 1, 2])
    given = batch(4)
    given["target"] = torch.full_like(given["target"], -1)
    given["target"][:2] = 2
    found = made(given, CPU)
    assert found["target"][0].shape[:2] == (4, 2) and not found["data"][2:].any() and found["data"][:2].any()


def test_every_batch_is_drawn_anew():
    augment = batch_augmentation(transforms(), PATCH, ANGLE, (0, 1, 2), False, [-1, 0, 1, 2])
    given = batch(6)
    assert not torch.equal(augment(given, CPU)["data"], augment(given, CPU)["data"])


@pytest.mark.parametrize("what", ["other", "cascade", "2D"])
def test_what_it_cannot_replace_is_refused(what):
    known = transforms(is_cascaded=what == "cascade", foreground_labels=[1, 2])
    if what == "other":
        known = ComposeTransforms(known.transforms[1:])
    patch = PATCH[:2] if what == "2D" else PATCH
    with pytest.raises(ConfigError, match="leave it out"):
        batch_augmentation(known, patch, ANGLE, (0, 1, 2), False, [0, 1])
