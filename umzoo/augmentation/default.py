"""nnU-Net's default augmentation of training crops, for whole batches on their device.

The distribution is that of ``nnUNetTrainer.get_training_transforms`` of nnU-Net 2.8 with batchgeneratorsv2 0.3: the
same transforms, each with the same probability and the same distribution of its parameters (Isensee et al., Nature
Methods 2021). The order is the same except for mirroring, which is applied with the rotation and not last: transforms
between them do not depend on the direction of an axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import Self

from umzoo.augmentation.draws import Draws
from umzoo.augmentation.gray_levels import blur, change_contrast, change_gamma, coarsen
from umzoo.augmentation.space import OUTSIDE, cut_out, matrices, resample, resample_compiled
from umzoo.data.store.record import Triple
from umzoo.fields import Rng
from umzoo.noise.fast import kernels_for

BRIGHTNESS = CONTRAST = (0.75, 1.25)
GAMMA = (0.7, 1.5)


class DefaultAugmentation:
    """Augments crops ``(B, C, D, H, W)`` and their labels ``(B, S, D, H, W)``; parameters are drawn for each item.

    Args:
        patch: voxels (D, H, W) of the result; crops may be larger, so that rotated ones are filled to the corners.
        rotation: maximum angle about each axis, in radians.
        mirror_axes: axes (0 is D) that may be mirrored.
        planar: rotate and scale in the plane (H, W) only, and keep the resolution along D.
        labels: all values of labels, if known; this avoids a synchronization on an accelerator.
    """

    def __init__(
        self,
        patch: Triple,
        rotation: float,
        mirror_axes: Sequence[int] = (0, 1, 2),
        planar: bool = False,
        labels: Sequence[int] | None = None,
    ) -> None:
        self.patch, self.rotation, self.mirror_axes = patch, rotation, tuple(mirror_axes)
        self.planar, self.labels = planar, labels

    @classmethod
    def for_patch(cls, patch: Triple, mirror_axes: Sequence[int] = (0, 1, 2)) -> Self:
        """Return nnU-Net's augmentation for crops of *patch*; thin ones (D under a third) are rotated in the plane."""
        planar = max(patch) / patch[0] > 3
        return cls(patch, math.pi if planar else math.pi / 6, mirror_axes, planar)

    def __call__(self, image: Tensor, label: Tensor | None, rng: Rng) -> tuple[Tensor, Tensor | None]:
        """Return a changed copy of *image* and *label*; labels are -1 outside the image."""
        draws = Draws(rng, len(image))
        turns, rows = matrices(draws, len(image), self.rotation, self.planar)
        mirrored = draws.uniform((len(image), 3)) < 0.5
        mirrored[:, [axis for axis in range(3) if axis not in self.mirror_axes]] = False
        turns = torch.where(mirrored[:, None], -turns, turns)
        made = image.new_empty(*image.shape[:2], *self.patch)
        target = None if label is None else label.new_empty(*label.shape[:2], *self.patch)
        for row in sorted(set(range(len(image))) - set(rows)):
            cut_out(image[row], made[row], mirrored[row], 0)
            if label is not None and target is not None:
                cut_out(label[row], target[row], mirrored[row], OUTSIDE)
        self._turn(image, label, turns, rows, made, target)
        self._recolor(made, rng, draws)
        return made, target

    def _turn(
        self, image: Tensor, label: Tensor | None, turns: Tensor, rows: list[int], made: Tensor, target: Tensor | None
    ) -> None:
        """Write the items *rows*, rotated and scaled, into *made* and *target*."""
        if rows and (loops := kernels_for(image, "augmentation.compiled")):
            for row in rows:
                labels = (None, None) if label is None or target is None else (label[row], target[row])
                resample_compiled(loops, image[row], labels[0], turns[row], made[row], labels[1])
        elif rows:
            part = None if label is None else label[rows]
            made[rows], found = resample(image[rows], part, turns[rows].to(image.device), self.patch, self.labels)
            if target is not None and found is not None:
                target[rows] = found

    def _recolor(self, image: Tensor, rng: Rng, draws: Draws) -> None:
        """Noise, blur, brightness, contrast, low resolution, inverted gamma and gamma, in place."""
        count, channels = image.shape[:2]
        flat = image.view(count * channels, *image.shape[2:])
        std = draws.uniform((count,), 0, 0.1)
        rows = _rows(draws.uniform((count,)) < 0.1)
        if rows:
            noise = rng.take(rows).gaussian_noise((len(rows), *image.shape[1:]))
            image[rows] += noise * std[rows].to(image.device).view(-1, 1, 1, 1, 1)
        sigmas = draws.uniform((count, channels, 3), 0.5, 1.0).flatten(0, 1)
        blur(flat, _chosen(draws, count, channels, 0.2, 0.5), sigmas)
        factors = _around_one(draws, count, channels, BRIGHTNESS).to(image.device)
        for place in _chosen(draws, count, channels, 0.15):
            flat[place] *= factors[place]
        change_contrast(flat, _chosen(draws, count, channels, 0.15), _around_one(draws, count, channels, CONTRAST))
        scales = draws.uniform((count, channels), 0.5, 1.0).flatten()
        coarsen(flat, _chosen(draws, count, channels, 0.25, 0.5), scales, self.planar)
        for p, inverted in ((0.1, True), (0.3, False)):
            change_gamma(flat, _chosen(draws, count, channels, p), _around_one(draws, count, channels, GAMMA), inverted)


def _chosen(draws: Draws, count: int, channels: int, p: float, p_channel: float = 1.0) -> list[int]:
    """Draw the channels to change, numbered across all items: an item with *p*, its channels with *p_channel*."""
    item = draws.uniform((count, 1)) < p
    return _rows((item & (draws.uniform((count, channels)) < p_channel)).flatten())


def _around_one(draws: Draws, count: int, channels: int, bounds: tuple[float, float]) -> Tensor:
    """Draw factors ``(B * C,)``, below or above 1 with equal probability, uniform up to *bounds*."""
    below = draws.uniform((count, channels)) < 0.5
    low, high = (draws.uniform((count, channels), *ends) for ends in ((bounds[0], 1.0), (1.0, bounds[1])))
    return torch.where(below, low, high).flatten()


def _rows(chosen: Tensor) -> list[int]:
    rows: list[int] = chosen.nonzero().flatten().tolist()
    return rows
