"""Prefetching into a ring buffer of shared memory, and tracking when a slot may be overwritten."""

from __future__ import annotations

from collections import deque

import torch
from numpy.typing import NDArray

from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.crop_reader import CropReader
from umzoo.data.loading.reader_pool import ReaderPool


class ReadAhead:
    """Requests a batch for every free slot of the ring buffer, and returns the filled slots in order."""

    def __init__(self, reader: CropReader, config: DataConfig, start: int) -> None:
        self._pool = ReaderPool(reader, config)
        self._voxels = torch.from_numpy(self._pool.ring.voxels)
        self._free = deque(range(config.slots))
        self._ordered: dict[int, int] = {}
        self._used: deque[tuple[int, torch.cuda.Event | None]] = deque()
        self._held: int | None = None
        self._next = start
        self._pinned: bool | None = None
        self._order()

    def take(self, number: int) -> tuple[torch.Tensor, NDArray, dict[str, str]]:
        """Voxels and items of batch *number*, and volumes that could not be read."""
        self._pin()
        self._release()
        self._order()
        if number not in self._ordered:
            self._reclaim(block=True)
            self._order()
        failures = self._pool.wait(number)
        self._held = slot = self._ordered.pop(number)
        return self._voxels[slot], self._pool.ring.items[slot], failures

    def close(self) -> None:
        """End the processes and unpin the memory."""
        self._pool.close()
        if self._pinned:
            torch.cuda.synchronize()
            torch.cuda.cudart().cudaHostUnregister(self._voxels.data_ptr())
            self._pinned = False

    def _order(self) -> None:
        self._reclaim(block=False)
        while self._free:
            slot = self._free.popleft()
            self._ordered[self._next] = slot
            self._pool.request(self._next, slot)
            self._next += 1

    def _release(self) -> None:
        """Release the slot of the last batch when the copies issued so far are done."""
        if self._held is None:
            return
        event = torch.cuda.Event() if self._pinned else None
        if event:
            event.record()
        self._used.append((self._held, event))
        self._held = None

    def _reclaim(self, block: bool) -> None:
        while self._used:
            slot, event = self._used[0]
            if event and block:
                event.synchronize()
            if event and not event.query():
                return
            self._used.popleft()
            self._free.append(slot)

    def _pin(self) -> None:
        """Pin the ring buffer once CUDA is in use, so that copies to the device are asynchronous."""
        if self._pinned is not None or not torch.cuda.is_initialized():
            return
        size = self._voxels.numel() * self._voxels.element_size()
        status = torch.cuda.cudart().cudaHostRegister(self._voxels.data_ptr(), size, 0)
        self._pinned = int(status) == 0
