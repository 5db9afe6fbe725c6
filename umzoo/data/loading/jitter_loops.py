"""The noise of :mod:`umzoo.data.loading.jitter` as compiled loops over one item. Needs numba."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from umzoo.noise.counter import FIRST, SECOND, STEP

Floats = NDArray[np.float32]
Seeds = NDArray[np.int64]

_STEP, _FIRST, _SECOND = np.int32(STEP), np.int32(FIRST), np.int32(SECOND)
_HALF, _TWO = np.float32(0.5), np.float32(2)

compiled = numba.njit(cache=True, nogil=True)


@compiled
def _uniform(out: Floats, seed: int) -> None:
    """Fill *out* ``(4N,)`` with the bytes of words 0 to N - 1 of the stream *seed*, plus one half."""
    quads = out.reshape(-1, 4)
    for i in range(np.int32(len(quads))):
        word = np.int32(np.int32(seed) + i * _STEP)
        word = np.int32((word ^ (word >> 16)) * _FIRST)
        word = np.int32((word ^ (word >> 15)) * _SECOND)
        word = np.int32(word + (word >> 16))
        quads[i, 0] = np.float32(np.int32(np.int8(word))) + _HALF
        quads[i, 1] = np.float32(np.int32(np.int8(word >> 8))) + _HALF
        quads[i, 2] = np.float32(np.int32(np.int8(word >> 16))) + _HALF
        quads[i, 3] = np.float32(np.int32(word >> 24)) + _HALF


@compiled
def _white(out: Floats, seed: int, first: int) -> None:
    """Fill *out* ``(N,)`` with the sums of the bytes of words *first* to *first* + N - 1, plus two."""
    for i in range(np.int32(len(out))):
        word = np.int32(np.int32(seed) + np.int32(np.int32(first) + i) * _STEP)
        word = np.int32((word ^ (word >> 16)) * _FIRST)
        word = np.int32((word ^ (word >> 15)) * _SECOND)
        word = np.int32(word + (word >> 16))
        low = np.int32(np.int8(word)) + np.int32(np.int8(word >> 8))
        out[i] = np.float32(np.int32(low + np.int32(np.int8(word >> 16)) + (word >> 24))) + _TWO


@compiled
def _filter(rows: Floats, at: int, step: int, weights: Floats, out: Floats) -> None:
    """Write into *out* ``(N,)`` the filtered values of *rows* from index *at*; neighbors are *step* apart."""
    size = len(out)
    middle, center = rows[at : at + size], weights[0]
    for j in range(1, len(weights), 2):
        near, far = j * step, (j + 1) * step
        one, two = weights[j], weights[j + 1]
        left, right = rows[at - near : at - near + size], rows[at + near : at + near + size]
        before, behind = rows[at - far : at - far + size], rows[at + far : at + far + size]
        if j == 1:
            for i in range(size):
                out[i] = center * middle[i] + one * (left[i] + right[i]) + two * (before[i] + behind[i])
        else:
            for i in range(size):
                out[i] += one * (left[i] + right[i]) + two * (before[i] + behind[i])


@compiled
def _add(item: Floats, weights: Floats, gains: tuple[Floats, Floats, Floats], amounts: Floats, seeds: Seeds) -> None:
    depth, height, columns = item.shape
    along, down, across = gains
    smooth, white = amounts
    reach, plane = len(weights) - 1, height * columns
    noise = np.empty((depth * plane + 3) // 4 * 4, np.float32)
    _uniform(noise, seeds[0])
    filtered = np.zeros((depth + 2 * reach) * plane, np.float32)
    padded = np.zeros((height + 2 * reach) * columns, np.float32)
    row = np.zeros(columns + 2 * reach, np.float32)
    for d in range(depth):
        for h in range(height):
            for w in range(columns):
                row[reach + w] = noise[(d * height + h) * columns + w]
            line = padded[(reach + h) * columns : (reach + h + 1) * columns]
            _filter(row, reach, 1, weights, line)
            for w in range(columns):
                line[w] *= across[w]
        _filter(padded, reach * columns, columns, weights, filtered[(reach + d) * plane : (reach + d + 1) * plane])
    total, grain = np.empty(plane, np.float32), np.empty(plane, np.float32)
    for d in range(depth):
        _filter(filtered, (reach + d) * plane, plane, weights, total)
        _white(grain, seeds[1], d * plane)
        for h in range(height):
            gain, first, voxels = along[d] * down[h] * smooth, h * columns, item[d, h]
            for w in range(columns):
                value = voxels[w] + (gain * total[first + w] + white * grain[first + w])
                voxels[w] = min(max(value, np.float32(0)), np.float32(1))


def add_noise(item: Floats, width: float, smooth: float, white: float, smooth_seed: int, white_seed: int) -> None:
    """Add both noises to *item* ``(D, H, W)`` in [0, 1]; the result is clamped to [0, 1].

    *smooth* and *white* are the factors on a filtered byte and on a sum of four bytes.
    """
    weights = _triangle(width)
    depth, height, columns = (_gains(weights, size) for size in item.shape)
    amounts, seeds = np.array([smooth, white], np.float32), np.array([smooth_seed, white_seed])
    _add(item, weights, (depth, height, columns), amounts, seeds)


def _triangle(width: float) -> Floats:
    """The weights of a voxel and its neighbors on one side, padded with 0 to an even number of neighbors."""
    weights: Floats = np.maximum(1 - np.arange(np.ceil(width) + 2, dtype=np.float32) / np.float32(max(width, 1)), 0)
    return weights[: 1 + max(int(np.count_nonzero(weights)), 2) // 2 * 2]


def _gains(weights: Floats, size: int) -> Floats:
    """Factors for each of *size* positions that keep the variance of white noise, also at the ends."""
    squares = np.concatenate([weights[:0:-1], weights]) ** 2
    inside = np.convolve(np.ones(size, np.float32), squares)[len(weights) - 1 :][:size]
    gains: Floats = (1 / np.sqrt(inside)).astype(np.float32)
    return gains
