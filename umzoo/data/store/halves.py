"""Copies of volumes at half their resolution, from which crops with coarser voxels are cut.

A copy is an array like the volume's own, in the folder ``halves``, with half the voxels along each axis (rounded up),
about an eighth of its size. Along each axis voxel k is (1, 3, 3, 1) / 8 of the voxels 2k - 1 to 2k + 2: the triangle
filter that resizing by two uses. Copies are optional and computed from the arrays in integers, so they are the
same on every machine.
"""

from __future__ import annotations

from pathlib import Path

import blosc2
import numpy as np
from numpy.typing import NDArray

from umzoo.data.store.arrays import write_array
from umzoo.data.store.places import HALVES, array_file
from umzoo.data.store.record import Triple
from umzoo.errors import in_one_line


def halve(voxels: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return *voxels* ``(D, H, W)`` at half the resolution; the volume is padded with its outermost voxels."""
    depth, height, width = voxels.shape
    result = np.empty(half_shape((depth, height, width)), np.int16)
    last = depth - 1
    for plane in range(len(result)):
        taken = [voxels[min(max(2 * plane + step, 0), last)].astype(np.int32) for step in (-1, 0, 1, 2)]
        whole = taken[0] + 3 * (taken[1] + taken[2]) + taken[3]
        result[plane] = (_halve(_halve(whole).T).T + 256) >> 9
    return result


def _halve(rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """Eight times *rows* ``(N, M)`` at half the resolution of the first axis."""
    padded = np.pad(rows, ((1, 2), (0, 0)), mode="edge")
    count = (len(rows) + 1) // 2
    at = [padded[step : step + 2 * count : 2] for step in range(4)]
    sums: NDArray[np.int32] = at[0] + 3 * (at[1] + at[2]) + at[3]
    return sums


def half_shape(shape: Triple) -> Triple:
    """The shape of the copy of a volume of *shape*."""
    depth, height, width = ((n + 1) // 2 for n in shape)
    return depth, height, width


def half_file(store: Path, name: str) -> Path:
    """The file of the copy of the volume *name*."""
    return array_file(store, name, HALVES)


def write_half(store: Path, name: str, stored: NDArray[np.int16]) -> None:
    """Write the copy of the volume *name*, whose voxels are *stored* ``(D, H, W)``, atomically.

    Raises:
        StoreError: if the disk is full, or the file cannot be written.
    """
    write_array(store, name, halve(stored), HALVES)


def half_damage(store: Path, name: str) -> str:
    """The problem of the copy of the volume *name*, whose array is intact; empty if there is no problem or no copy."""
    file = half_file(store, name)
    if not file.is_file():
        return ""
    try:
        found = blosc2.open(str(file), mode="r")[:]
    except (RuntimeError, OSError, ValueError) as error:
        return f"its copy at half the resolution is corrupted: {in_one_line(error, 80)}"
    same = np.array_equal(found, halve(_volume(store, name)))
    return "" if same else "its copy at half the resolution does not match the array"


def make_half(store: Path, name: str) -> bool:
    """Write the copy of the volume *name* if it is missing or corrupted; return whether it was.

    Raises:
        StoreError: if the disk is full, or the file cannot be written.
    """
    if half_file(store, name).is_file() and not half_damage(store, name):
        return False
    write_half(store, name, _volume(store, name))
    return True


def _volume(store: Path, name: str) -> NDArray[np.int16]:
    volume: NDArray[np.int16] = blosc2.open(str(array_file(store, name)), mode="r")[:]
    return volume
