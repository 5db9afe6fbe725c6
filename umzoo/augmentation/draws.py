"""Random numbers for the parameters of transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umzoo.fields import Rng

BLOCK = 64
"""Block size: numbers drawn at once for each item."""


class Draws:
    """Numbers from U[0, 1) on the CPU, drawn in blocks, since one draw costs as much as a few hundred numbers.

    Args:
        rng: random streams.
        count: items of the batch; each has its own numbers.
    """

    def __init__(self, rng: Rng, count: int) -> None:
        self._rng, self._count = rng.host(), count
        self._left: NDArray[np.float32] = np.empty((count, 0), np.float32)

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw float32 of *shape* ``(B, ...)`` from U[low, high)."""
        wanted = math.prod(shape[1:])
        if wanted > self._left.shape[1]:
            fresh = self._rng.uniform((self._count, max(BLOCK, wanted))).numpy()
            self._left = np.concatenate([self._left, fresh], 1)
        drawn, self._left = self._left[:, :wanted], self._left[:, wanted:]
        return torch.from_numpy((drawn * np.float32(high - low) + np.float32(low)).reshape(shape))
