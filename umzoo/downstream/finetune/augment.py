"""Augmentation on the device of the batch: flip, rotation, scaling, gamma, noise, brightness; or that of nnU-Net."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from umzoo.augmentation import DefaultAugmentation
from umzoo.corruptions.gamma import Gamma
from umzoo.corruptions.noise import Noise
from umzoo.downstream.finetune.config import AugmentationConfig
from umzoo.fields import Fields, Rng


class Augmentation:
    """Augments ``image`` ``(B, C, D, H, W)``; spatial transforms also apply to ``label`` ``(B, 1, D, H, W)``."""

    def __init__(self, config: AugmentationConfig) -> None:
        self.config = config
        self.gamma = Gamma(Gamma.Config(p=config.p, low=config.gamma[0], high=config.gamma[1], invert=0.25))
        self.noise = Noise(Noise.Config(p=config.p, std=(0.0, config.noise)))

    def __call__(self, batch: Fields, rng: Rng) -> Fields:
        """Return an augmented copy of *batch*; all randomness comes from *rng*."""
        if not self.config.enabled:
            return batch
        if self.config.law == "nnunet":
            return self._like_nnunet(batch, rng)
        changed = self._move(batch, rng)
        return {**changed, "image": self._recolor(changed["image"], rng)}

    def _like_nnunet(self, batch: Fields, rng: Rng) -> Fields:
        depth, height, width = batch["image"].shape[2:]
        augment = DefaultAugmentation.for_patch((depth, height, width), (0, 1, 2) if self.config.flip else ())
        image, label = augment(batch["image"], batch.get("label"), rng)
        return {**batch, "image": image} | ({} if label is None else {"label": label.clamp_min(0)})

    def _move(self, batch: Fields, rng: Rng) -> Fields:
        image = batch["image"]
        grid = functional.affine_grid(self._affine(image, rng), list(image.shape), align_corners=False)
        moved = {"image": functional.grid_sample(image, grid, padding_mode="border", align_corners=False)}
        if "label" in batch:
            label = functional.grid_sample(batch["label"].float(), grid, "nearest", "zeros", align_corners=False)
            moved["label"] = label.long()
        return {**batch, **moved}

    def _affine(self, image: Tensor, rng: Rng) -> Tensor:
        """Matrices ``(B, 3, 4)`` from output to input coordinates, both from -1 to 1 along x, y, z."""
        config, count = self.config, len(image)
        moved = rng.bernoulli((count,), config.p).float()[:, None]
        angles = rng.uniform((count, 3), -1, 1) * math.radians(config.rotation) * moved * _turnable(image)
        sizes = 1 + rng.uniform((count, 1), -1, 1) * config.scale * moved
        signs = 1 - 2 * rng.bernoulli((count, 3), 0.5).float() * float(config.flip)
        turn = _rotation(angles) / sizes[:, :, None] * signs[:, None, :]
        edges = torch.tensor(image.shape[:1:-1], dtype=turn.dtype, device=turn.device)
        turn = turn * edges[None, None, :] / edges[None, :, None]
        return torch.cat([turn, turn.new_zeros(count, 3, 1)], dim=2)

    def _recolor(self, image: Tensor, rng: Rng) -> Tensor:
        """Apply gamma, noise and brightness after scaling each channel of a crop to [0, 1]; undo the scaling."""
        low, high = image.amin((2, 3, 4), keepdim=True), image.amax((2, 3, 4), keepdim=True)
        extent = (high - low).clamp_min(1e-6)
        unit = (image - low) / extent
        for corruption in (self.gamma, self.noise):
            unit = corruption.apply(unit, corruption.draw(unit, rng))
        shift = rng.uniform((len(image),), -1, 1) * rng.bernoulli((len(image),), self.config.p)
        return (unit + shift.view(-1, 1, 1, 1, 1) * self.config.brightness) * extent + low


def _turnable(image: Tensor) -> Tensor:
    """Return 1 for each axis (x, y, z) that *image* may be rotated about; thin crops are rotated in plane only.

    A crop is thin if its shortest edge is less than a third of its longest, as in nnU-Net: such crops are anisotropic.
    """
    edges = torch.tensor(image.shape[:1:-1], device=image.device)
    thin = 3 * edges.min() < edges.max()
    return ((edges == edges.min()) | ~thin).float()


def _rotation(angles: Tensor) -> Tensor:
    """Rotation matrices ``(B, 3, 3)`` of *angles* ``(B, 3)`` about x, y and z."""
    cos, sin = angles.cos(), angles.sin()
    total = torch.eye(3, device=angles.device).expand(len(angles), 3, 3)
    for axis, (one, other) in enumerate(((1, 2), (0, 2), (0, 1))):
        turn = torch.eye(3, device=angles.device).repeat(len(angles), 1, 1)
        turn[:, one, one] = turn[:, other, other] = cos[:, axis]
        turn[:, one, other], turn[:, other, one] = -sin[:, axis], sin[:, axis]
        total = total @ turn
    return total
