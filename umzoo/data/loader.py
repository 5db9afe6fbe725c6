"""Batches of crops in the order of steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from types import TracebackType

import numpy as np
import torch
from typing_extensions import Self

from umzoo.data.config import DataConfig
from umzoo.data.crops import ITEM, CropReader, Reader
from umzoo.data.sampler import Sampler
from umzoo.fields import Fields

logger = logging.getLogger(__name__)


class Loader(Iterator[Fields]):
    """Endless batches, one a step; use it as a context manager."""

    def __init__(
        self, store: Reader, config: DataConfig, seed: int, rank: int = 0, world: int = 1, start_step: int = 0
    ) -> None:
        self.config = config
        self.rank = rank
        self.step = start_step
        self.wait_seconds = 0.0
        self.quarantined: dict[str, str] = {}
        self._reader = CropReader(store, Sampler(store.records, store.modalities, store.sources, config, seed))

    def __next__(self) -> Fields:
        began = time.perf_counter()
        count = self.config.batch_size
        voxels = np.empty((count, 1, *self.config.patch_size), np.int16)
        items = np.zeros(count, ITEM)
        for slot in range(count):
            failures = self._reader.fill(self.step, self.rank, slot, voxels[slot, 0], items[slot])
            for volume, reason in failures.items():
                if volume not in self.quarantined:
                    logger.warning("quarantined: %s", reason)
                    self.quarantined[volume] = reason
        self.step += 1
        self.wait_seconds += time.perf_counter() - began
        fields = {name: torch.from_numpy(items[name].copy()) for name in ITEM.names or ()}
        return {"voxels": torch.from_numpy(voxels), **fields}

    def close(self) -> None:
        """Let go of everything."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
