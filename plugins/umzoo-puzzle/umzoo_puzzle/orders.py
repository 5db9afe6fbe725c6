"""Orders of tiles with large Hamming distances between them (Noroozi and Favaro, ECCV 2016)."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

import umzoo
from umzoo.errors import ConfigError

ENUMERATED = 8
"""Maximum number of tiles for which all orders are candidates."""
SAMPLED = 10_000
"""Number of random candidates for more tiles."""


def distant_orders(tiles: int, count: int) -> Tensor:
    """Return *count* fixed orders, int64 ``(count, tiles)``.

    They are chosen greedily: each next order maximizes the minimum Hamming distance to the earlier ones.

    Raises:
        ConfigError: if there are fewer orders than *count*.
    """
    if count > math.factorial(tiles):
        raise ConfigError(f"{tiles} tiles have {math.factorial(tiles)} orders, got orders={count}: lower 'orders'")
    return torch.from_numpy(_distant_orders(tiles, count).astype(np.int64))


@cache
def _distant_orders(tiles: int, count: int) -> np.ndarray:
    candidates = _candidates(tiles).astype(np.int16)  # small numbers are compared in less time
    distance = np.full(len(candidates), tiles + 1)
    chosen = []
    for _ in range(count):
        best = int(distance.argmax())
        chosen.append(best)
        distance = np.minimum(distance, (candidates != candidates[best]).sum(1))
    orders: np.ndarray = candidates[chosen]
    return orders


def _candidates(tiles: int) -> np.ndarray:
    if tiles <= ENUMERATED:
        return np.array(list(itertools.permutations(range(tiles))), dtype=np.int64)
    rng = umzoo.Rng(tiles)
    return np.unique([rng.permutation(tiles).numpy() for _ in range(SAMPLED)], axis=0)
