"""Dictionaries of tensors for a step, and random draws on the right device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

Fields = dict[str, Tensor]
"""A batch, a view or recorded draws: names to tensors. Images are ``(B, C, D, H, W)``.

Fields of a training batch:
``image``     float32 ``(B, 1, D, H, W)`` in [0, 1], the window of the volume's intensity rule;
``mean, std`` float32 ``(B,)``, statistics of the volume in that [0, 1] space;
``scale``     int64 ``(B,)``, index into ``data.scales``, -1 for crops without a scale label;
``modality``  int64 ``(B,)``, index into the store's modalities, -1 where unknown;
``source``    int64 ``(B,)``, index into the store's sources; ``volume`` int64 ``(B,)``, row in the index;
``spacing``   float32 ``(B, 3)``, mm per voxel of the crop after resizing (D, H, W);
``width``     float32 ``(B,)``, half-width in voxels of the filter that made crops equally sharp, 0 without one;
``target.NAME`` ``(B,)``, for each target of the store: the class as int64, -1 where unknown; or the number as float32,
NaN where unknown;
``progress``  float32 ``()``, share of the training done, and ``step`` int64 ``()``;
``scale_count, modality_count`` float32 ``()``: labeled items of the whole step, per forward pass. A sum over the
labeled items of a pass, divided by it, gives the same gradient for any number of processes.
"""

BATCH_FIELDS = frozenset(
    {"image", "mean", "std", "scale", "modality", "source", "volume", "spacing", "width"}
    | {"progress", "step", "scale_count", "modality_count"}
)
"""Fields of every training batch, independent of the store."""


def _words(seed: NDArray[np.uint64], place: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the random words at *place* of the streams *seed*, by SplitMix64 (Steele et al., OOPSLA 2014)."""
    words = seed + (place + np.uint64(1)) * _GOLDEN
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = words ^ (words >> np.uint64(31))
    return mixed


def seeded_generator(device: torch.device, seed: int) -> torch.Generator:
    """Return a generator of *device*."""
    return torch.Generator(device).manual_seed(seed)


class Rng:
    """Random draws for one step.

    Parameters (few numbers) are always drawn by a CPU generator and moved, so they are the same on every
    device; bulk draws (``noise``) come from a generator of the device itself.

    With *items*, each item of a batch has its own streams. A shape ``(k * B, ...)`` then means k draws for each
    of the B items, one view after the other, as images of several views are stacked. The draws of an item do not depend
    on the others in its batch. Draws of other shapes are shared by all items of the step.

    Args:
        keys: integers that identify the stream, such as ``(seed, step)``: equal keys, equal draws.
        device: device of the results.
        items: numbers of the batch's items within the step, or None for one stream for all items.
    """

    def __init__(self, *keys: int, device: torch.device | str = "cpu", items: Sequence[int] | None = None) -> None:
        self.device = torch.device(device)
        self.keys = tuple(int(key) for key in keys)
        self.items = None if items is None else tuple(items)
        self._drawn = 0

    @cached_property
    def _shared(self) -> NDArray[np.uint64]:
        """Seeds of parameters and of bulk draws ``(2,)``, for draws that all items share."""
        return np.random.SeedSequence(self.keys).generate_state(2, np.uint64).astype(np.uint64)

    @cached_property
    def _parameters(self) -> torch.Generator:
        return torch.Generator().manual_seed(int(self._shared[0] >> np.uint64(1)))

    @cached_property
    def _bulk(self) -> torch.Generator:
        return seeded_generator(self.device, int(self._shared[1] >> np.uint64(1)))

    @cached_property
    def _own(self) -> tuple[NDArray[np.uint64], list[torch.Generator]]:
        """Seeds of the parameters of each item ``(B, 1)``, and generators of its bulk draws."""
        parameters, bulk = _words(self._shared[:, None], np.array(self.items, np.uint64))
        seeds = (bulk >> np.uint64(1)).tolist()
        return parameters[:, None], [seeded_generator(self.device, seed) for seed in seeds]

    def _is_of_items(self, shape: Sequence[int]) -> bool:
        return bool(self.items and shape and shape[0] % len(self.items) == 0)

    def _of_items(self, shape: Sequence[int]) -> NDArray[np.uint64] | None:
        """Draw random words in *shape* from the streams of the items; None if *shape* is not that of items."""
        if self.items is None or not self._is_of_items(shape):
            return None
        count = math.prod(shape) // len(self.items)
        places = np.arange(self._drawn, self._drawn + count, dtype=np.uint64)
        self._drawn += count
        by_item = _words(self._own[0], places).reshape(len(self.items), -1, *shape[1:])
        words: NDArray[np.uint64] = by_item.swapaxes(0, 1).reshape(shape)
        return words

    def _unit(self, shape: Sequence[int]) -> Tensor:
        """Draw float32 from U[0, 1), on the CPU."""
        words = self._of_items(shape)
        if words is None:
            return torch.rand(tuple(shape), generator=self._parameters)
        return torch.from_numpy((words >> np.uint64(40)).astype(np.float32) * np.float32(2**-24))

    def _in_bulk(self, kind: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """Draw *shape* by *kind*, such as ``torch.rand``, from the items' streams if it is the shape of items."""
        if self.items is None or not self._is_of_items(shape):
            return kind(tuple(shape), generator=self._bulk, device=self.device)
        each = (shape[0] // len(self.items), *shape[1:])
        return torch.stack([kind(each, generator=it, device=self.device) for it in self._own[1]], 1).flatten(0, 1)

    def fork(self, *keys: int) -> Rng:
        """Return a new stream, a pure function of this stream's keys and *keys*."""
        return Rng(*self.keys, *keys, device=self.device, items=self.items)

    def take(self, rows: Sequence[int]) -> Rng:
        """Return these streams, from their beginning, for the items *rows* of the batch only."""
        if self.items is None:
            return self
        return Rng(*self.keys, device=self.device, items=[self.items[row] for row in rows])

    def host(self) -> Rng:
        """Return this stream with results on the CPU."""
        return self if self.device.type == "cpu" else Rng(*self.keys, items=self.items)

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw float32 from U[low, high)."""
        draw = self._unit(shape)
        return (draw * (high - low) + low).to(self.device, non_blocking=True)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Draw float32 from N(0, 1)."""
        words = self._of_items(shape)
        if words is None:
            draw = torch.randn(tuple(shape), generator=self._parameters)
        else:
            unit = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2**-53
            draw = torch.special.ndtri(torch.from_numpy(unit)).float()
        return draw.to(self.device, non_blocking=True)

    def integers(self, shape: Sequence[int], low: int, high: int) -> Tensor:
        """Draw int64 from low, ..., high, both inclusive.

        Raises:
            ValueError: if there is none.
        """
        if low > high:
            raise ValueError(f"there is no integer from {low} to {high} to draw")
        words = self._of_items(shape)
        if words is None:
            draw = torch.randint(low, high + 1, tuple(shape), generator=self._parameters)
        else:
            draw = torch.from_numpy((words % np.uint64(high - low + 1)).astype(np.int64) + low)
        return draw.to(self.device, non_blocking=True)

    def bernoulli(self, shape: Sequence[int], p: float) -> Tensor:
        """Draw booleans that are true with probability *p*."""
        return (self._unit(shape) < p).to(self.device, non_blocking=True)

    def permutation(self, n: int) -> Tensor:
        """Draw a random order of 0, ..., n-1, the same for all items."""
        return torch.randperm(n, generator=self._parameters).to(self.device, non_blocking=True)

    def noise(self, shape: Sequence[int]) -> Tensor:
        """Draw float32 from U[0, 1) in bulk, by the device's own generator."""
        return self._in_bulk(torch.rand, shape)

    def gaussian_noise(self, shape: Sequence[int]) -> Tensor:
        """Draw float32 from N(0, 1) in bulk, by the device's own generator."""
        return self._in_bulk(torch.randn, shape)


def to_device(fields: Fields, device: torch.device) -> Fields:
    """Move every field to *device*, asynchronously from pinned memory."""
    return {name: value.to(device, non_blocking=True) for name, value in fields.items()}
