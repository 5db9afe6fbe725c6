"""Corruptions of one item as loops compiled by numba: one pass instead of several tensor operations.

All except :func:`shuffle_blocks`, which has its own random generator, equal the tensor operations bit for bit.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from umzoo.noise.counter import FIRST, HALF_STEP, SECOND, STEP

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

_STEP, _FIRST, _SECOND = np.int32(STEP), np.int32(FIRST), np.int32(SECOND)
_HALF_STEP, _SCALE = np.float32(HALF_STEP), np.float32(2**-16)
_MULTIPLIER = np.uint64(6364136223846793005)
_INCREMENT = np.uint64(1442695040888963407)
_HALF = np.uint64(32)

compiled = numba.njit(cache=True, nogil=True)
inlined = numba.njit(inline="always")


@compiled
def _fill(out: Floats, seed: int, first: int) -> None:
    """Fill *out* ``(2N,)`` with noise from word *first* on, equal to :func:`umzoo.noise.counter.uniform_`."""
    for i in range(np.int32(len(out) // 2)):
        word = np.int32(np.int32(seed) + np.int32(np.int32(first) + i) * _STEP)
        word = np.int32((word ^ (word >> 16)) * _FIRST)
        word = np.int32((word ^ (word >> 15)) * _SECOND)
        word = np.int32(word + (word >> 16))
        out[2 * i] = np.float32(np.int32(np.int16(word))) * _SCALE + _HALF_STEP
        out[2 * i + 1] = np.float32(np.int32(word >> 16)) * _SCALE + _HALF_STEP


@compiled
def paint(item: Floats, start: NDArray[np.int64], stop: NDArray[np.int64], inner: bool, seed: int) -> None:
    """Fill *item* ``(C, D, H, W)`` with noise inside the windows *start* to *stop* ``(N, 3)``, or outside them."""
    channels, depth, height, width = item.shape
    noise = np.empty(height * width // 2 * 2 + 2, np.float32)
    painted = np.empty((height, width), np.bool_)
    for plane in range(channels * depth):
        d = plane % depth
        painted[:] = not inner
        for n in range(len(start)):
            if start[n, 0] <= d < stop[n, 0]:
                painted[start[n, 1] : stop[n, 1], start[n, 2] : stop[n, 2]] = inner
        first = plane * height * width
        _fill(noise, seed, first // 2)
        voxels, chosen, shift = item[plane // depth, d].reshape(-1), painted.reshape(-1), first % 2
        for i in range(height * width):
            voxels[i] = noise[i + shift] if chosen[i] else voxels[i]


@compiled
def look_up(values: Floats, table: Floats) -> None:
    """Replace *values* ``(N,)`` by their entries in *table*; values beyond [0, 1] get the first or last entry."""
    scale, last = np.float32(len(table)), np.float32(len(table) - 1)
    for i in range(len(values)):
        level = values[i] * scale
        level = level if level > 0 else np.float32(0)
        values[i] = table[np.int32(level if level < last else last)]


@compiled
def shuffle_tiles(image: Floats, out: Floats, rows: Integers, choice: Integers, d0: int, h0: int, w0: int) -> None:
    """Write *image* ``(D, H, W)`` to its copy *out*, shuffled in tiles that start at (*d0*, *h0*, *w0*).

    *rows* ``(N, eD, eH, W')`` holds the offsets from voxels to their sources, *choice* ``(nD, nH)`` the row at each
    position; see :mod:`umzoo.corruptions.tiles`.
    """
    _, height, width = image.shape
    _, edge_d, edge_h, length = rows.shape
    source, target = image.reshape(-1), out.reshape(-1)
    for i in range(choice.shape[0] * edge_d):
        for j in range(choice.shape[1] * edge_h):
            row = rows[choice[i // edge_d, j // edge_h], i % edge_d, j % edge_h]
            first = ((d0 + i) * height + h0 + j) * width + w0
            for w in range(length):
                target[first + w] = source[first + w + row[w]]


@inlined
def _next(state: Any) -> Any:
    """Return the next state of Knuth's 64-bit linear congruential generator."""
    return state * _MULTIPLIER + _INCREMENT


@inlined
def _below(state: Any, bound: Any) -> Any:
    """Return an integer from 0, ..., *bound* - 1, made from the upper half of *state*."""
    return np.int64(((state >> _HALF) * np.uint64(bound)) >> _HALF)


@inlined
def _span(state: Any, size: Any, greatest: Any) -> Any:
    """Draw a block's extent along an axis of *size* voxels; return start, stop and the next state."""
    state = _next(state)
    edge = 1 + _below(state, greatest)
    state = _next(state)
    start = _below(state, size - edge + 1)
    return start, start + edge, state


@compiled
def shuffle_blocks(image: Floats, out: Floats, blocks: int, depth: int, height: int, width: int, seed: int) -> None:
    """Write *image* ``(D, H, W)`` to its copy *out*, shuffled in *blocks* of at most *depth* x *height* x *width*.

    Each block fills the voxels of its window in order, with a random one of the remaining values.
    """
    pool = np.empty(depth * height * width, image.dtype)
    state = _next(_next(np.uint64(seed)))
    for _ in range(blocks):
        d0, d1, state = _span(state, image.shape[0], depth)
        h0, h1, state = _span(state, image.shape[1], height)
        w0, w1, state = _span(state, image.shape[2], width)
        left = 0
        for d in range(d0, d1):
            for h in range(h0, h1):
                for w in range(w0, w1):
                    pool[left] = image[d, h, w]
                    left += 1
        for d in range(d0, d1):
            for h in range(h0, h1):
                for w in range(w0, w1):
                    state = _next(state)
                    pick = _below(state, left)
                    left -= 1
                    out[d, h, w] = pool[pick]
                    pool[pick] = pool[left]
