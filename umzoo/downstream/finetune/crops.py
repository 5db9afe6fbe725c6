"""Crops of cached scans; the seed and the number of a crop determine it completely."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umzoo.data.loading.batch_share import Share
from umzoo.data.loading.config import Size
from umzoo.downstream.finetune.cases import CachedCase
from umzoo.downstream.finetune.config import CropConfig
from umzoo.fields import Fields
from umzoo.scans.crops import crop_about, cut

log = logging.getLogger(__name__)


class Crops:
    """Endless batches of training crops.

    Each epoch takes one crop of every case, in random order. Fields: ``image`` ``(B, C, D, H, W)``, ``label``
    ``(B, 1, D, H, W)`` for segmentation, ``targets`` ``(B, n)`` for other tasks.
    """

    def __init__(
        self,
        cases: Sequence[CachedCase],
        config: CropConfig,
        patch: Size,
        seed: int,
        share: Share | None = None,
    ) -> None:
        self.cases, self.config, self.patch, self.seed = cases, config, patch, seed
        self.share = share or Share(config.batch_size)

    def open(self, step: int) -> AbstractContextManager[Iterator[Fields]]:
        """Return the batches of this process, starting at *step*."""
        return nullcontext(self._from(step * self.share.passes))

    def _from(self, start: int) -> Iterator[Fields]:
        while True:
            yield self.batch(start)
            start += 1

    def batch(self, number: int) -> Fields:
        """Return batch *number* of this process."""
        step, slots = self.share.place(number)
        items = [self._item(step * self.share.total + slot) for slot in slots]
        return {name: torch.stack([item[name] for item in items]) for name in items[0]}

    def _item(self, number: int) -> Fields:
        epoch, place = divmod(number, len(self.cases))
        order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.cases))
        cached, rng = self.cases[order[place]], np.random.default_rng((self.seed, 2, number))
        start = self._start(cached, rng)
        fields = {"image": _image(cut(cached.image, start, self.patch, cached.least))}
        if cached.label is not None:
            fields["label"] = torch.from_numpy(cut(cached.label[None], start, self.patch, 0)).long()
        else:
            fields["targets"] = torch.tensor(cached.case.targets)
        return fields

    def _start(self, cached: CachedCase, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the first voxel of a crop; it may lie outside the scan if the crop is larger."""
        patch, shape = np.array(self.patch), np.array(cached.image.shape[1:])
        if cached.label is None and self.config.view == "center":
            shift = np.rint(rng.uniform(-1, 1, 3) * self.config.jitter * patch)
            return np.asarray(np.array(cached.center) - patch // 2 + shift, np.int64)
        low, high = np.minimum(0, (shape - patch) // 2), np.maximum(shape - patch, (shape - patch) // 2)
        start = rng.integers(low, high + 1)
        if len(cached.points) and rng.random() < self.config.foreground:
            start = np.clip(cached.points[rng.integers(len(cached.points))] - patch // 2, low, high)
        return np.asarray(start, np.int64)


def say_padding(cases: Sequence[CachedCase], patch: Size) -> None:
    """Warn if center crops reach beyond scans: padding reveals the scan's size, which may predict the target."""
    edges = np.array(patch)
    starts = [np.array(cached.center) - edges // 2 for cached in cases]
    shapes = [np.array(cached.image.shape[1:]) for cached in cases]
    padded = sum(
        bool((start < 0).any() or (start + edges > shape).any()) for start, shape in zip(starts, shapes, strict=True)
    )
    if padded:
        log.warning(
            "crops of %s reach beyond %d of %d scans: the padding reveals the size of a scan, and a network may learn"
            " it instead of the anatomy; the smallest scan has %s voxels (lower data.patch_size)",
            "x".join(map(str, patch)), padded, len(cases), "x".join(map(str, np.min(shapes, axis=0))),
        )  # fmt: skip


def center_crop(cached: CachedCase, patch: Size) -> Tensor:
    """Return the crop ``(C, D, H, W)`` at the center of a scan."""
    return _image(crop_about(cached.image, cached.center, patch, cached.least))


def _image(crop: NDArray[Any]) -> Tensor:
    return torch.from_numpy(crop.astype(np.float32))
