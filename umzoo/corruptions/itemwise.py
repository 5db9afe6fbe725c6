"""Corruptions with two equivalent implementations: per item on the CPU, and for whole batches on other devices."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from umzoo.corruptions.base import Corruption
from umzoo.fields import Fields, Rng, to_device


class ItemwiseCorruption(Corruption):
    """A corruption that uses cache-friendly slices on the CPU, and masks with few kernel launches on a GPU.

    Both implementations give the same result for the same parameters.
    """

    def draw(self, image: Tensor, rng: Rng) -> Fields:
        """Return the parameters of :meth:`sample`, moved to the device of *rng* without synchronization."""
        return to_device(self.sample(image.shape, rng.host()), rng.device)

    @abstractmethod
    def sample(self, shape: torch.Size, rng: Rng) -> Fields:
        """Return parameters on the CPU for each item of a batch of *shape* (B, C, D, H, W)."""

    def apply(self, image: Tensor, params: Fields) -> Tensor:
        """Return a corrupted copy of *image* ``(B, C, D, H, W)``."""
        if image.device.type != "cpu":
            return self.apply_batch(image, params)
        return apply_itemwise(self, image, params)

    @abstractmethod
    def apply_item_(self, item: Tensor, params: Fields) -> None:
        """Corrupt one contiguous item ``(C, D, H, W)`` in place."""

    @abstractmethod
    def apply_batch(self, image: Tensor, params: Fields) -> Tensor:
        """Return a corrupted copy of *image* ``(B, C, D, H, W)`` without synchronizing the device."""


def apply_itemwise(corruption: Corruption, image: Tensor, params: Fields) -> Tensor:
    """Return a copy of *image* ``(B, C, D, H, W)``, corrupted item by item."""
    out = image.clone(memory_format=torch.contiguous_format)
    for item, own in zip(out, unbind(params), strict=True):
        corruption.apply_item_(item, own)
    return out


def unbind(params: Fields) -> list[Fields]:
    """Split *params* along the batch axis: one set of parameters per item."""
    columns = [value.unbind() for value in params.values()]
    return [dict(zip(params, row, strict=True)) for row in zip(*columns, strict=True)]


def per_item(values: Tensor) -> Tensor:
    """Shape ``(B,)`` *values* so that they broadcast against ``(B, C, D, H, W)``."""
    return values.view(-1, 1, 1, 1, 1)
