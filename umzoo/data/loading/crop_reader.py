"""Reads the crops of a batch in the loader's processes. Does not import torch, so they start fast and stay small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.loading.batch_share import Share
from umzoo.data.loading.resizing import resize, width_after_halving
from umzoo.data.loading.sampler import Crop, Sampler, triple
from umzoo.data.store.reader import Store
from umzoo.errors import DataError

ATTEMPTS = 64
"""Maximum draws for one item of a batch before an error is raised."""

ITEM = np.dtype(
    [
        ("window", np.float32, 2),
        ("mean", np.float32),
        ("std", np.float32),
        ("scale", np.int64),
        ("modality", np.int64),
        ("source", np.int64),
        ("volume", np.int64),
        ("spacing", np.float32, 3),
        ("width", np.float32),
    ]
)
"""Metadata of an item; the names are those of the batch's fields."""


class CropReader:
    """Reads the crops of this process that a sampler draws from a store."""

    def __init__(self, store: Store, sampler: Sampler, share: Share) -> None:
        self.store = store
        self.sampler = sampler
        self.share = share

    def fill(self, number: int, row: int, voxels: NDArray[np.int16], item: Any) -> dict[str, str]:
        """Write row *row* of batch *number* into *voxels* ``(D, H, W)`` and *item* (an element of :data:`ITEM`).

        A crop that cannot be read is drawn again. This is decided for each read, independent of earlier failures, so
        batches depend neither on the number of workers nor on where a run was resumed.

        Returns:
            identifier of each volume that could not be read, with the reason.

        Raises:
            DataError: if :data:`ATTEMPTS` draws in a row cannot be read.
        """
        step, slots = self.share.place(number)
        failures: dict[str, str] = {}
        for attempt in range(ATTEMPTS):
            crop = self.sampler.crop(step, slots[row], attempt)
            try:
                voxels[...] = self._read(crop, voxels.shape)
            except DataError as error:
                failures[self.store.records[crop.volume].id] = str(error)
                continue
            self._describe(crop, item)
            return failures
        raise DataError(
            f"{ATTEMPTS} crops in a row could not be read, from {len(failures)} of {len(self.store.records)} volumes:"
            f" prepare the store again; last error: {list(failures.values())[-1]}"
        )

    def _read(self, crop: Crop, patch: tuple[int, ...]) -> NDArray[np.int16]:
        if crop.halved and (region := self._cut(crop, self.store.read_half, 2)) is not None:
            return resize(region, triple(patch), crop.grid, width_after_halving(crop.width, crop.size, crop.grid))
        region = self._cut(crop, self.store.read, 1)
        return resize(region, triple(patch), crop.grid, crop.width)

    def _cut(self, crop: Crop, read: Callable[..., Any], factor: int) -> Any:
        """The box of *crop*, padded, from voxels *factor* times as large; None if *read* returns None."""
        record = self.store.records[crop.volume]
        begin, size = np.floor_divide(crop.start, factor), np.floor_divide(crop.size, factor)
        start, stop = (
            np.maximum(begin, 0),
            np.minimum(begin + size, -np.floor_divide(np.negative(record.shape), factor)),
        )
        region = read(crop.volume, triple(start), triple(stop))
        if region is None or region.shape == tuple(size):
            return region
        low = np.clip(np.rint(record.stored_window[0]), -32768, 32767)
        whole = np.full(size, low, np.int16)
        whole[tuple(slice(a, b) for a, b in zip(start - begin, stop - begin, strict=True))] = region
        return whole

    def _describe(self, crop: Crop, item: Any) -> None:
        record = self.store.records[crop.volume]
        patch = self.sampler.config.patch_size
        item["window"] = record.stored_window
        item["mean"], item["std"] = record.mean, record.std
        item["scale"], item["width"] = crop.label, crop.width * max(np.divide(patch, crop.grid))
        item["modality"] = self.sampler.modality[crop.volume]
        item["source"] = self.sampler.source[crop.volume]
        item["volume"] = crop.volume
        item["spacing"] = np.multiply(record.spacing, crop.size) / patch
