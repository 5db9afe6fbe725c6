"""What nnU-Net does to training crops by default, for whole batches on their device.

The law is that of ``nnUNetTrainer.get_training_transforms`` of nnU-Net 2.8 with batchgeneratorsv2 0.3: the same
transforms in the same order, each with the same probability and the same distribution of its parameters (Isensee et
al., Nature Methods 2021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import Self

from umzoo.augmentation.gray_levels import blur, change_contrast, change_gamma, coarsen
from umzoo.augmentation.space import center, matrices, mirror, resample, resample_compiled
from umzoo.data.store.record import Triple
from umzoo.fields import Rng
from umzoo.noise.fast import kernels_for

BRIGHTNESS = CONTRAST = (0.75, 1.25)
GAMMA = (0.7, 1.5)


class DefaultAugmentation:
    """Changes crops ``(B, C, D, H, W)`` and their labels ``(B, S, D, H, W)``; what is drawn is drawn for each item.

    Args:
        patch: voxels (D, H, W) of the result; crops may be larger, so that turned ones are filled to the corners.
        rotation: greatest angle about each axis, in radians.
        mirror_axes: axes (0 is D) that may be mirrored.
        planar: turn and scale in the plane (H, W) alone, and keep the resolution along D.
        labels: all values of labels, where they are known: on an accelerator nothing has to be waited for then.
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
        """Return what nnU-Net does to crops of *patch*; thin ones, with D under a third, are turned in their plane."""
        planar = max(patch) / patch[0] > 3
        return cls(patch, math.pi if planar else math.pi / 6, mirror_axes, planar)

    def __call__(self, image: Tensor, label: Tensor | None, rng: Rng) -> tuple[Tensor, Tensor | None]:
        """Return a changed copy of *image* and *label*; labels are -1 where there is no image."""
        host = rng.host()
        turns, rows = matrices(host, len(image), self.rotation, self.planar)
        made = center(image, self.patch, 0)
        target = None if label is None else center(label, self.patch, -1)
        self._turn(image, label, turns, rows, made, target)
        self._recolor(made, rng, host)
        return mirror(made, target, host.uniform((len(image), 3)) < 0.5, self.mirror_axes)

    def _turn(
        self, image: Tensor, label: Tensor | None, turns: Tensor, rows: list[int], made: Tensor, target: Tensor | None
    ) -> None:
        """Write the items *rows*, turned and scaled, into *made* and *target*."""
        if rows and (loops := kernels_for(image, "augmentation.compiled")):
            for row in rows:
                labels = (None, None) if label is None or target is None else (label[row], target[row])
                resample_compiled(loops, image[row], labels[0], turns[row], made[row], labels[1])
        elif rows:
            part = None if label is None else label[rows]
            made[rows], found = resample(image[rows], part, turns[rows].to(image.device), self.patch, self.labels)
            if target is not None and found is not None:
                target[rows] = found

    def _recolor(self, image: Tensor, rng: Rng, host: Rng) -> None:
        """Noise, blur, brightness, contrast, low resolution, inverted gamma and gamma, in place."""
        count, channels = image.shape[:2]
        flat = image.view(count * channels, *image.shape[2:])
        std = host.uniform((count,), 0, 0.1)
        rows = _rows(host.uniform((count,)) < 0.1)
        if rows:
            noise = rng.take(rows).gaussian_noise((len(rows), *image.shape[1:]))
            image[rows] += noise * std[rows].to(image.device).view(-1, 1, 1, 1, 1)
        sigmas = host.uniform((count, channels, 3), 0.5, 1.0).flatten(0, 1)
        blur(flat, _chosen(host, count, channels, 0.2, 0.5), sigmas)
        factors = _around_one(host, count, channels, BRIGHTNESS).to(image.device)
        for place in _chosen(host, count, channels, 0.15):
            flat[place] *= factors[place]
        change_contrast(flat, _chosen(host, count, channels, 0.15), _around_one(host, count, channels, CONTRAST))
        scales = host.uniform((count, channels), 0.5, 1.0).flatten()
        coarsen(flat, _chosen(host, count, channels, 0.25, 0.5), scales, self.planar)
        for p, inverted in ((0.1, True), (0.3, False)):
            change_gamma(flat, _chosen(host, count, channels, p), _around_one(host, count, channels, GAMMA), inverted)


def _chosen(rng: Rng, count: int, channels: int, p: float, p_channel: float = 1.0) -> list[int]:
    """Draw which channels are changed, numbered through all items: an item with *p*, its channels with *p_channel*."""
    item = rng.uniform((count, 1)) < p
    return _rows((item & (rng.uniform((count, channels)) < p_channel)).flatten())


def _around_one(rng: Rng, count: int, channels: int, bounds: tuple[float, float]) -> Tensor:
    """Draw factors ``(B * C,)`` of which half lie below 1 and half above, evenly up to *bounds*."""
    below = rng.uniform((count, channels)) < 0.5
    low, high = (rng.uniform((count, channels), *ends) for ends in ((bounds[0], 1.0), (1.0, bounds[1])))
    return torch.where(below, low, high).flatten()


def _rows(chosen: Tensor) -> list[int]:
    rows: list[int] = chosen.nonzero().flatten().tolist()
    return rows
