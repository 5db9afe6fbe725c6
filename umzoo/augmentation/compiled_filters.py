"""Matrices that are zero far from their diagonal, applied along the axes of a crop as compiled loops. Needs numba."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Columns = NDArray[np.int64]
Band = tuple[Columns, Floats]

fused = numba.njit(cache=True, nogil=True, fastmath={"contract", "nsz"})


@fused
def multiply_along_axes(channel: Floats, depth: Band, height: Band, width: Band) -> Floats:
    """Return *channel* ``(D, H, W)`` multiplied along each axis by a band matrix.

    A band is the first nonzero column of each row, and the values of the row from there.
    """
    size = channel.shape
    one = _combine_rows(channel.reshape(1, size[0], size[1] * size[2]), depth[0], depth[1])
    two = _combine_rows(one.reshape(size), height[0], height[1])
    made, (first, taps) = np.empty_like(channel), width
    for d in range(size[0]):
        for h in range(size[1]):
            line, out = two[d, h], made[d, h]
            for w in range(size[2]):
                total, start = np.float32(0), np.uintp(first[w])
                for tap in range(taps.shape[1]):
                    total += taps[w, tap] * line[start + np.uintp(tap)]
                out[w] = total
    return made


@fused
def _combine_rows(blocks: Floats, first: Columns, taps: Floats) -> Floats:
    """Return *blocks* ``(N, S, L)`` with each row ``(L,)`` replaced by a weighted sum of its neighbors."""
    made = np.zeros_like(blocks)
    for n in range(len(blocks)):
        for s in range(len(first)):
            out = made[n, s]
            for tap in range(taps.shape[1]):
                row, factor = blocks[n, first[s] + tap], taps[s, tap]
                for i in range(len(out)):
                    out[i] += factor * row[i]
    return made
