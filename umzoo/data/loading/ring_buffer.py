"""A ring buffer of batches in shared memory: readers write into its slots, and processes exchange slot numbers only."""

from __future__ import annotations

import ctypes
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.loading.crop_reader import ITEM
from umzoo.data.store.record import Triple


class Ring:
    """Memory for *slots* batches of *batch* crops each, allocated once.

    The memory has no name (an unlinked file that is passed to the processes by its descriptor), so nothing is left
    behind when the processes end.

    Attributes:
        voxels: int16 ``(slots, B, 1, D, H, W)``.
        items: records of dtype :data:`~umzoo.data.loading.crop_reader.ITEM` ``(slots, B)``.
    """

    def __init__(self, context: BaseContext, slots: int, batch: int, patch: Triple) -> None:
        self.shape = (slots, batch, 1, *patch)
        self._bytes = int(np.prod(self.shape)) * 2
        self._padding = -self._bytes % ITEM.itemsize
        self.memory: Any = context.RawArray(ctypes.c_byte, self._bytes + self._padding + slots * batch * ITEM.itemsize)
        self._map()

    def _map(self) -> None:
        count = self.shape[0] * self.shape[1]
        voxels = np.frombuffer(self.memory, np.int16, self._bytes // 2)
        items = np.frombuffer(self.memory, ITEM, count, offset=self._bytes + self._padding)
        self.voxels: NDArray[np.int16] = voxels.reshape(self.shape)
        self.items: NDArray[Any] = items.reshape(self.shape[:2])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("voxels", "items")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()
