"""nnU-Net's default augmentation for whole batches on the training's device, instead of its worker processes'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from torch import Tensor

from umzoo.augmentation import DefaultAugmentation
from umzoo.data.store.record import Triple
from umzoo.errors import ConfigError
from umzoo.fields import Rng

REPLACED = (
    "SpatialTransform",
    "GaussianNoiseTransform",
    "GaussianBlurTransform",
    "MultiplicativeBrightnessTransform",
    "ContrastTransform",
    "SimulateLowResolutionTransform",
    "GammaTransform",
    "GammaTransform",
)
"""What :class:`DefaultAugmentation` does, in its order; mirroring, which trainers may leave out, comes after it."""
DIMENSIONS = {"Convert3DTo2DTransform", "Convert2DTo3DTransform"}
KEPT = {
    "MaskImageTransform",
    "RemoveLabelTransform",
    "RemoveLabelTansform",  # its name in older versions
    "ConvertSegmentationToRegionsTransform",
    "DownsampleSegForDSTransform",
}
"""What is done after it to each item, by nnU-Net's own transforms. Those of cascades work on the CPU alone."""


class BatchAugmentation:
    """Changes batches as nnU-Net's transforms change their items.

    Args:
        augment: what is drawn and done on the device.
        rest: nnU-Net's transforms that follow, item by item.
    """

    def __init__(self, augment: DefaultAugmentation, rest: Sequence[BasicTransform]) -> None:
        self.augment, self.rest = augment, ComposeTransforms(list(rest))

    def __call__(self, batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
        """Return *batch* with ``data`` ``(B, C, D, H, W)`` and ``target`` of the patch, on *device*."""
        image, label = (batch[key].to(device, non_blocking=True) for key in ("data", "target"))
        seed = int(torch.randint(2**31 - 1, ()))
        images, target = self.augment(image, label, Rng(seed, device=device))
        items = zip(images, target if target is not None else label, strict=True)
        made = [self.rest(image=one, segmentation=its) for one, its in items]
        targets = [one["segmentation"] for one in made]
        return {**batch, "data": torch.stack([one["image"] for one in made]), "target": _stacked(targets)}


def batch_augmentation(
    transforms: ComposeTransforms,
    patch: Sequence[int],
    rotation: float,
    mirror_axes: Sequence[int] | None,
    planar: bool,
    labels: Sequence[int],
) -> BatchAugmentation:
    """Return what does to batches what nnU-Net's *transforms* do to items.

    Args:
        transforms: as ``nnUNetTrainer.get_training_transforms`` returns them.
        patch: voxels (D, H, W) of the result.
        rotation: greatest angle in radians.
        mirror_axes: axes that may be mirrored; none if None or empty.
        planar: whether crops are turned and scaled in their plane alone.
        labels: all values of labels.

    Raises:
        ConfigError: if they are others than those this replaces.
    """
    inner = [getattr(it, "transform", it) for it in transforms.transforms]
    names = [type(it).__name__ for it in inner if type(it).__name__ not in DIMENSIONS]
    count = len(REPLACED) + bool(mirror_axes)
    expected = [*REPLACED, "MirrorTransform"] if mirror_axes else [*REPLACED]
    if names[:count] != expected:
        raise ConfigError(
            "--fast-augmentation replaces nnU-Net's default augmentation alone, and this trainer has another one:"
            " leave it out"
        )
    if unknown := [name for name in names[count:] if name not in KEPT]:
        raise ConfigError(f"--fast-augmentation cannot be used with {unknown[0]} (as in a cascade): leave it out")
    if len(patch) != 3:
        raise ConfigError("--fast-augmentation is for 3D configurations: leave it out")
    size: Triple = (int(patch[0]), int(patch[1]), int(patch[2]))
    augment = DefaultAugmentation(size, rotation, tuple(mirror_axes or ()), planar, labels)
    return BatchAugmentation(augment, [it for it in inner if type(it).__name__ in KEPT])


def _stacked(targets: Sequence[Any]) -> Tensor | list[Tensor]:
    """The *targets* of a batch, of each resolution if there are several."""
    if isinstance(targets[0], list):
        return [torch.stack(each) for each in zip(*targets, strict=True)]
    return torch.stack(list(targets))
