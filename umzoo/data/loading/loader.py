"""Batches of crops in the order of passes and steps, prefetched by other processes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from types import TracebackType

import numpy as np
import torch
from typing_extensions import Self

from umzoo.data.loading.batch_share import Share
from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.crop_reader import ITEM, CropReader
from umzoo.data.loading.prefetch import ReadAhead
from umzoo.data.loading.sampler import Sampler
from umzoo.data.store.reader import Store
from umzoo.errors import DataError
from umzoo.fields import Fields

logger = logging.getLogger(__name__)


class Loader(Iterator[Fields]):
    """Endless batches of crops, one for each pass of this process; use it as a context manager.

    The content of a slot of a step's batch depends only on (seed, step, slot): not on ``config.workers``, not on how
    processes and passes share the batch, and not on the first step. So resuming is exact, with any number of
    processes. Fields of a batch: ``voxels`` int16 ``(B, 1, D, H, W)``, ``window`` float32 ``(B, 2)`` (the stored values
    that are mapped to 0 and 1), ``width`` float32 ``(B,)`` (half-width of the resizing filter in voxels of the patch, 0
    for the sharpest filter) and ``mean``, ``std``, ``scale``, ``modality``, ``source``, ``volume``, ``spacing``,
    ``scale_count``, ``modality_count`` as in :data:`umzoo.fields.Fields`.

    ``voxels`` is a view of memory shared with the readers: it is valid until the next batch is requested. On CUDA
    that memory is pinned; copies must be issued on the current stream, and may still be running by then.

    A volume that cannot be read is added to ``quarantined`` and logged, and another crop is drawn in its place.

    Args:
        store: a store opened by :func:`~umzoo.data.loading.open_store.open_store`.
        config: options of sampling and loading.
        seed: seed of the run.
        share: the part of each step's batch to load; by default all of it, ``config.batch_size`` crops.
        start_step: step of the first batch.

    Attributes:
        number: number of batches before the next one, counted from the first step.
        wait_seconds: time spent waiting for batches so far.
        quarantined: identifier of each volume that could not be read, with the reason.

    Raises:
        DataError: if the store has no volumes, nothing can be read, or a reader process died.
    """

    def __init__(
        self, store: Store, config: DataConfig, seed: int, share: Share | None = None, start_step: int = 0
    ) -> None:
        self.config = config
        self.share = share or Share(config.batch_size)
        self.number = start_step * self.share.passes
        self.wait_seconds = 0.0
        self.quarantined: dict[str, str] = {}
        sampler = Sampler(store.records, store.modalities, store.sources, config, seed)
        self._reader = CropReader(store, sampler, self.share)
        self._ahead = ReadAhead(self._reader, config, self.number) if config.workers else None
        self._counts: tuple[int, Fields] = (-1, {})
        self._closed = False

    def __next__(self) -> Fields:
        if self._closed:
            raise DataError("the loader is closed: create a new one with start_step to continue")
        began = time.perf_counter()
        voxels, items, failures = self._ahead.take(self.number) if self._ahead else self._read()
        self.wait_seconds += time.perf_counter() - began
        self._quarantine(failures)
        fields = {name: torch.from_numpy(items[name].copy()) for name in ITEM.names or ()} | self._labeled()
        self.number += 1
        return {"voxels": voxels, **fields, **self._targets(fields["volume"])}

    def _targets(self, volumes: torch.Tensor) -> Fields:
        """The targets of the *volumes* ``(B,)``; see :data:`umzoo.fields.Fields`."""
        values = self._reader.store.targets.values
        return {f"target.{name}": torch.from_numpy(column[volumes.numpy()]) for name, column in values.items()}

    def _labeled(self) -> Fields:
        """Labeled items of the step per pass, the same for all of its passes; see :data:`umzoo.fields.Fields`."""
        step, _ = self.share.place(self.number)
        if self._counts[0] != step:
            found, passes = self._reader.sampler.labeled(step, self.share.total), self.share.passes * self.share.world
            counts = {f"{name}_count": torch.tensor(max(count, 1) / passes) for name, count in found.items()}
            self._counts = step, counts
        return self._counts[1]

    def close(self) -> None:
        """End the reader processes; their memory is freed once no batch uses it."""
        self._closed = True
        if self._ahead:
            self._ahead.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def _read(self) -> tuple[torch.Tensor, np.ndarray, dict[str, str]]:
        count = self.share.batch
        voxels, items = np.empty((count, 1, *self.config.patch_size), np.int16), np.zeros(count, ITEM)
        failures: dict[str, str] = {}
        for row in range(count):
            failures |= self._reader.fill(self.number, row, voxels[row, 0], items[row])
        return torch.from_numpy(voxels), items, failures

    def _quarantine(self, failures: dict[str, str]) -> None:
        for volume, reason in failures.items():
            if volume not in self.quarantined:
                logger.warning("volume quarantined, another crop is drawn instead: %s", reason)
                self.quarantined[volume] = reason
