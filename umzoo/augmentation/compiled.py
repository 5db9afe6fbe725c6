"""Turning and moments of one crop as compiled loops: one pass where tensor operations need several. Needs numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]
Labels = NDArray[Any]
Sizes = tuple[int, int, int]

compiled = numba.njit(cache=True, nogil=True)
summed = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "nnan"})
inlined = numba.njit(inline="always")


@inlined
def _start(turn: Matrix, size: Sizes, patch: Sizes, i: int, j: int) -> tuple[float, float, float]:
    """The place in a crop of *size* that the first voxel of line (i, j) of a result of *patch* is taken from."""
    one, two, three = i + 0.5 - patch[0] / 2, j + 0.5 - patch[1] / 2, 0.5 - patch[2] / 2
    z = turn[0, 0] * one + turn[0, 1] * two + turn[0, 2] * three + size[0] / 2 - 0.5
    y = turn[1, 0] * one + turn[1, 1] * two + turn[1, 2] * three + size[1] / 2 - 0.5
    x = turn[2, 0] * one + turn[2, 1] * two + turn[2, 2] * three + size[2] / 2 - 0.5
    return z, y, x


@compiled
def _inside(start: tuple[float, float, float], step: Matrix, size: Sizes, count: int) -> tuple[int, int]:
    """The voxels of a line of *count*, from one to before the other, whose eight neighbors all lie in the crop."""
    first, last = 0.0, float(count)
    for axis in range(3):
        low, high = -start[axis], size[axis] - 1 - start[axis]
        if step[axis] < 0:
            low, high = high, low
        if step[axis] != 0:
            first, last = max(first, low / step[axis]), min(last, high / step[axis])
        elif not 0 <= start[axis] < size[axis] - 1:
            last = 0.0
    first, last = np.ceil(first + 1e-9), np.ceil(last - 1e-9)
    return (int(first), int(last)) if first < last else (0, 0)


@compiled
def resample_image(image: Floats, turn: Matrix, out: Floats) -> None:
    """Fill *out* ``(C, d, h, w)`` from *image* ``(C, D, H, W)``, linearly, with 0 outside."""
    channels, depth, height, width = image.shape
    size, patch = (depth, height, width), (out.shape[1], out.shape[2], out.shape[3])
    down, deep = np.uintp(width), np.uintp(height * width)
    one, both, right = np.float32(1), np.uintp(width + 1), np.uintp(1)
    step = turn[:, 2].copy()
    for i in range(patch[0]):
        for j in range(patch[1]):
            z0, y0, x0 = _start(turn, size, patch, i, j)
            first, last = _inside((z0, y0, x0), step, size, patch[2])
            for channel in range(channels):
                flat, line = image[channel].reshape(-1), out[channel, i, j]
                for k in range(first, last):
                    z, y, x = z0 + k * step[0], y0 + k * step[1], x0 + k * step[2]
                    d, h, w = int(z), int(y), int(x)
                    c, b, a = np.float32(z - d), np.float32(y - h), np.float32(x - w)
                    n = np.uintp((d * height + h) * width + w)
                    m = n + deep
                    top = flat[n] * (one - a) + flat[n + right] * a
                    low = flat[n + down] * (one - a) + flat[n + both] * a
                    far_top = flat[m] * (one - a) + flat[m + right] * a
                    far_low = flat[m + down] * (one - a) + flat[m + both] * a
                    front, back = top * (one - b) + low * b, far_top * (one - b) + far_low * b
                    line[k] = front * (one - c) + back * c
                for k in range(patch[2]):
                    if first <= k < last:
                        continue
                    z, y, x = z0 + k * step[0], y0 + k * step[1], x0 + k * step[2]
                    line[k] = _near_the_border(image[channel], z, y, x)


@compiled
def _near_the_border(channel: Floats, z: float, y: float, x: float) -> float:
    d, h, w = int(np.floor(z)), int(np.floor(y)), int(np.floor(x))
    c, b, a = z - d, y - h, x - w
    total = 0.0
    for n in range(8):
        e, g, f = d + (n >> 2), h + ((n >> 1) & 1), w + (n & 1)
        if 0 <= e < channel.shape[0] and 0 <= g < channel.shape[1] and 0 <= f < channel.shape[2]:
            share = (c if n & 4 else 1 - c) * (b if n & 2 else 1 - b) * (a if n & 1 else 1 - a)
            total += share * channel[e, g, f]
    return total


@compiled
def resample_labels(label: Labels, turn: Matrix, outside: int, near: float, out: Labels) -> None:
    """Fill *out* ``(S, d, h, w)`` with what has most weight among eight neighbors of *label* ``(S, D, H, W)``.

    Weights that differ by less than *near* are equal; see :func:`umzoo.augmentation.space.sample_labels`.
    """
    count, depth, height, width = label.shape
    size, patch = (depth, height, width), (out.shape[1], out.shape[2], out.shape[3])
    down, deep = np.uintp(width), np.uintp(height * width)
    both, right = np.uintp(width + 1), np.uintp(1)
    step, values, shares = turn[:, 2].copy(), np.empty(8, label.dtype), np.empty(8, np.float64)
    for i in range(patch[0]):
        for j in range(patch[1]):
            z0, y0, x0 = _start(turn, size, patch, i, j)
            first, last = _inside((z0, y0, x0), step, size, patch[2])
            for number in range(count):
                flat, line = label[number].reshape(-1), out[number, i, j]
                for k in range(first, last):
                    z, y, x = z0 + k * step[0], y0 + k * step[1], x0 + k * step[2]
                    n = np.uintp((int(z) * height + int(y)) * width + int(x))
                    m, value = n + deep, flat[n]
                    other = (flat[n + right] ^ value) | (flat[n + down] ^ value) | (flat[n + both] ^ value)
                    other |= (flat[m] ^ value) | (flat[m + right] ^ value) | (flat[m + down] ^ value)
                    if (other | (flat[m + both] ^ value)) == 0:
                        line[k] = value
                    else:
                        line[k] = _heaviest(label[number], z, y, x, outside, near, values, shares)
                for k in range(patch[2]):
                    if not first <= k < last:
                        z, y, x = z0 + k * step[0], y0 + k * step[1], x0 + k * step[2]
                        line[k] = _heaviest(label[number], z, y, x, outside, near, values, shares)


@compiled
def _heaviest(
    label: Labels, z: float, y: float, x: float, outside: int, near: float, values: Labels, shares: Matrix
) -> Any:
    """The value with the greatest weight; of equal ones that of the nearest voxel, or else the least."""
    d, h, w = int(np.floor(z)), int(np.floor(y)), int(np.floor(x))
    c, b, a = z - d, y - h, x - w
    for n in range(8):
        e, g, f = d + (n >> 2), h + ((n >> 1) & 1), w + (n & 1)
        held = 0 <= e < label.shape[0] and 0 <= g < label.shape[1] and 0 <= f < label.shape[2]
        values[n] = label[e, g, f] if held else outside
        shares[n] = (c if n & 4 else 1 - c) * (b if n & 2 else 1 - b) * (a if n & 1 else 1 - a)
    nearest = values[4 * int(np.rint(z) - d) + 2 * int(np.rint(y) - h) + int(np.rint(x) - w)]
    other, share, two = nearest, 0.0, True
    for n in range(8):
        if values[n] == nearest:
            share += shares[n]
        elif other == nearest:
            other = values[n]
        elif values[n] != other:
            two = False
    if two or share > 0.5:
        return nearest if share > 0.5 - near / 2 else other
    best, chosen, own = -1.0, nearest, 0.0
    for n in range(8):
        total = 0.0
        for m in range(8):
            total += shares[m] if values[m] == values[n] else 0.0
        if values[n] == nearest:
            own = total
        if total > best + near or (total > best - near and values[n] < chosen):
            chosen = values[n]
        best = max(best, total)
    return nearest if own > best - near else chosen


@summed
def moments(voxels: Floats) -> tuple[float, float, float, float]:
    """Return least, greatest, mean and standard deviation (of N - 1) of *voxels* ``(N,)``."""
    low = high = voxels[0]
    for i in range(len(voxels)):
        low, high = min(low, voxels[i]), max(high, voxels[i])
    middle, total, squares = (low + high) / 2, 0.0, 0.0
    for start in range(0, len(voxels), 1024):
        part, part_squares = np.float32(0), np.float32(0)
        for i in range(start, min(start + 1024, len(voxels))):
            value = voxels[i] - middle
            part += value
            part_squares += value * value
        total, squares = total + part, squares + part_squares
    count = len(voxels)
    variance = max(squares - total * total / count, 0.0) / max(count - 1, 1)
    return low, high, middle + total / count, np.sqrt(variance)
