"""Collects the slices of a volume, and replaces padding by air."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.dicom.pixels import Pixels
from umzoo.data.reading.size_limits import require_memory, size

_AIR = -1024
_BODY = (-900, 3071)


class Buffer:
    """The slices ``(k, j, i)`` of a volume, in a type that can represent all their values."""

    def __init__(self, slices: int) -> None:
        self._slices = slices
        self.voxels: NDArray[Any] = np.empty((0, 0, 0), np.int16)
        self._padding: dict[int, NDArray[np.bool_]] = {}

    def add(self, pixels: Pixels, number: int) -> None:
        """Add the *pixels* of slice *number*; the first slice determines the size.

        Raises:
            Refused: if there is not enough memory.
        """
        values = pixels.values
        if not number:
            needed = self._slices * values.nbytes
            require_memory(needed, f"its voxels take {size(needed)}")
            self.voxels = np.empty((self._slices, *values.shape), values.dtype)
        if not np.can_cast(values.dtype, self.voxels.dtype):
            whole = self.voxels.dtype.kind == "i" and values.dtype.kind == "i"
            self.voxels = self.voxels.astype(np.result_type(self.voxels, values) if whole else np.float32)
        self.voxels[number] = values
        if pixels.padding is not None:
            self._padding[number] = pixels.padding

    def fill_padding(self, modality: str) -> None:
        """Set padding to the value of air, or, without HU, to the smallest other value, unless it is 0."""
        low = self._least() if self._padding and modality != "CT" else 0
        for number, where in self._padding.items():
            plane = self.voxels[number]
            if modality == "CT":
                where = where & ((plane < _BODY[0]) | (plane > _BODY[1]))
                plane[where] = _AIR
            else:
                plane[where & (plane != 0)] = low

    def _least(self) -> Any:
        """The smallest value that is not padding."""
        nowhere = np.False_
        kept = (plane[~self._padding.get(n, nowhere)] for n, plane in enumerate(self.voxels))
        return min((plane.min() for plane in kept if plane.size), default=0)
