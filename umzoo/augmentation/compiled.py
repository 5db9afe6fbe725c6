"""Rotation and scaling of one crop as compiled loops, in one pass instead of several tensor operations. Needs numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]
Labels = NDArray[Any]
Sizes = tuple[int, int, int]
Place = tuple[float, float, float]
Corners = NDArray[np.int32]
Marks = NDArray[np.bool_]

compiled = numba.njit(cache=True, nogil=True)
inlined = numba.njit(inline="always")
fused = numba.njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
ONE = np.uintp(1)


@inlined
def _start(turn: Matrix, size: Sizes, patch: Sizes, i: int, j: int) -> Place:
    """The position in a crop of *size* of the first voxel of line (i, j) of a result of *patch*."""
    one, two, three = i + 0.5 - patch[0] / 2, j + 0.5 - patch[1] / 2, 0.5 - patch[2] / 2
    z = turn[0, 0] * one + turn[0, 1] * two + turn[0, 2] * three + size[0] / 2 - 0.5
    y = turn[1, 0] * one + turn[1, 1] * two + turn[1, 2] * three + size[1] / 2 - 0.5
    x = turn[2, 0] * one + turn[2, 1] * two + turn[2, 2] * three + size[2] / 2 - 0.5
    return z, y, x


@compiled
def _inside(start: Place, step: Place, size: Sizes, count: int) -> tuple[int, int]:
    """The range (start, stop) of voxels of a line of *count* whose eight neighbors are all inside the crop."""
    first, last = -0.5, count - 0.5
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


@fused
def _cells(
    start: Place,
    step: Place,
    first: int,
    size: Sizes,
    corner: Corners,
    c: Floats,
    b: Floats,
    a: Floats,
) -> None:
    """For each voxel of a line from *first*: the flat index of its cell, and its position within the cell.

    Voxels are independent of each other, so the loop can be vectorized.
    """
    height, width = np.int32(size[1]), np.int32(size[2])
    for k in range(len(corner)):
        z, y, x = start[0] + (first + k) * step[0], start[1] + (first + k) * step[1], start[2] + (first + k) * step[2]
        d, h, w = np.int32(z), np.int32(y), np.int32(x)
        c[k], b[k], a[k] = np.float32(z - np.float64(d)), np.float32(y - np.float64(h)), np.float32(x - np.float64(w))
        corner[k] = (d * height + h) * width + w


@fused
def _interpolate(
    flat: Floats, corner: Corners, c: Floats, b: Floats, a: Floats, down: Any, deep: Any, out: Floats
) -> None:
    """Fill *out* ``(N,)`` with the values of *flat* between the eight corners of each cell."""
    for k in range(len(out)):
        n = np.uintp(corner[k])
        m = n + deep
        top, low, far_top, far_low = flat[n], flat[n + down], flat[m], flat[m + down]
        top += (flat[n + ONE] - top) * a[k]
        low += (flat[n + down + ONE] - low) * a[k]
        far_top += (flat[m + ONE] - far_top) * a[k]
        far_low += (flat[m + down + ONE] - far_low) * a[k]
        top += (low - top) * b[k]
        far_top += (far_low - far_top) * b[k]
        out[k] = top + (far_top - top) * c[k]


@compiled
def resample_image(image: Floats, turn: Matrix, out: Floats) -> None:
    """Fill *out* ``(C, d, h, w)`` from *image* ``(C, D, H, W)``, linearly, with 0 outside."""
    channels, depth, height, width = image.shape
    size, patch = (depth, height, width), (out.shape[1], out.shape[2], out.shape[3])
    down, deep, step = np.uintp(width), np.uintp(height * width), (turn[0, 2], turn[1, 2], turn[2, 2])
    corner, places = np.empty(patch[2], np.int32), np.empty((3, patch[2]), np.float32)
    for i in range(patch[0]):
        for j in range(patch[1]):
            start = _start(turn, size, patch, i, j)
            first, last = _inside(start, step, size, patch[2])
            cells, n = corner[: last - first], last - first
            c, b, a = places[0, :n], places[1, :n], places[2, :n]
            _cells(start, step, first, size, cells, c, b, a)
            for channel in range(channels):
                line = out[channel, i, j]
                _interpolate(image[channel].reshape(-1), cells, c, b, a, down, deep, line[first:last])
                for k in range(patch[2]):
                    if first <= k < last:
                        continue
                    z, y, x = start[0] + k * step[0], start[1] + k * step[1], start[2] + k * step[2]
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


@fused
def _mixed_cells(label: Labels, mixed: Marks) -> None:
    """Mark in *mixed* ``(D, H, W)`` the cells whose eight corners in *label* are not all equal."""
    for d in range(label.shape[0] - 1):
        for h in range(label.shape[1] - 1):
            one, two, three, four = label[d, h], label[d, h + 1], label[d + 1, h], label[d + 1, h + 1]
            marks = mixed[d, h]
            for w in range(len(one) - 1):
                value, right = one[w], w + 1
                other = (one[right] ^ value) | (two[w] ^ value) | (two[right] ^ value) | (three[w] ^ value)
                other |= (three[right] ^ value) | (four[w] ^ value) | (four[right] ^ value)
                marks[w] = other != 0


@fused
def _majority(flat: Any, n: Any, down: Any, deep: Any, c: float, b: float, a: float, near: float) -> tuple[bool, Any]:
    """Whether the corners of cell *n* have at most two values, one with clearly more weight, and that value."""
    one = other = flat[n]
    share = 0.0
    for corner in range(8):
        value = flat[n + np.uintp(corner >> 2) * deep + np.uintp((corner >> 1) & 1) * down + np.uintp(corner & 1)]
        if value == one:
            share += (c if corner & 4 else 1.0 - c) * (b if corner & 2 else 1.0 - b) * (a if corner & 1 else 1.0 - a)
        elif other == one:
            other = value
        elif value != other:
            return False, one
    return abs(share - 0.5) > near, one if share > 0.5 else other


@compiled
def resample_labels(label: Labels, turn: Matrix, outside: int, near: float, out: Labels) -> None:
    """Fill *out* ``(S, d, h, w)`` with the label of highest weight among eight neighbors of *label* ``(S, D, H, W)``.

    Weights that differ by less than *near* are equal; see :func:`umzoo.augmentation.space.sample_labels`.
    """
    count, depth, height, width = label.shape
    size, patch = (depth, height, width), (out.shape[1], out.shape[2], out.shape[3])
    down, deep, step = np.uintp(width), np.uintp(height * width), (turn[0, 2], turn[1, 2], turn[2, 2])
    corner, places = np.empty(patch[2], np.int32), np.empty((3, patch[2]), np.float32)
    values, shares, mixed = np.empty(8, label.dtype), np.empty(8, np.float64), np.empty(label.shape, np.bool_)
    for number in range(count):
        _mixed_cells(label[number], mixed[number])
    for i in range(patch[0]):
        for j in range(patch[1]):
            start = _start(turn, size, patch, i, j)
            first, last = _inside(start, step, size, patch[2])
            cells, n = corner[: last - first], last - first
            c, b, a = places[0, :n], places[1, :n], places[2, :n]
            _cells(start, step, first, size, cells, c, b, a)
            for number in range(count):
                flat, marks, line = label[number].reshape(-1), mixed[number].reshape(-1), out[number, i, j]
                for k in range(patch[2]):
                    if first <= k < last:
                        cell = np.uintp(corner[k - first])
                        if not marks[cell]:
                            line[k] = flat[cell]
                            continue
                        at = k - first
                        clear, value = _majority(flat, cell, down, deep, c[at], b[at], a[at], near)
                        if clear:
                            line[k] = value
                            continue
                    z, y, x = start[0] + k * step[0], start[1] + k * step[1], start[2] + k * step[2]
                    line[k] = _heaviest(label[number], z, y, x, outside, near, values, shares)


@compiled
def _heaviest(
    label: Labels, z: float, y: float, x: float, outside: int, near: float, values: Labels, shares: Matrix
) -> Any:
    """The value with the highest weight; for equal weights that of the nearest voxel, otherwise the smallest."""
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
