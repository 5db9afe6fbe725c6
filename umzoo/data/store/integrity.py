"""Compares the arrays of a store with its index."""

from __future__ import annotations

from pathlib import Path

import blosc2
import numpy as np

from umzoo.data.reading.regular_files import oddity
from umzoo.data.store.places import array_file
from umzoo.data.store.record import VolumeRecord
from umzoo.data.store.shards import is_packed, shard_damage
from umzoo.errors import in_one_line
from umzoo.files import sha256


def damage(store: Path, record: VolumeRecord) -> str:
    """The problem of the array of *record*; empty if there is none. The whole array is read."""
    if is_packed(store):
        return shard_damage(store, record.id)
    file = array_file(store, record.id)
    if problem := oddity(file):
        return "the array is missing" if problem == "no such file" else problem
    if record.sha256:
        return "" if sha256(file) == record.sha256 else "the array is corrupted: its sha256 does not match the index"
    try:
        array = blosc2.open(str(file), mode="r")
        if tuple(array.shape) != record.shape or array.dtype != np.int16:
            return f"the array is {array.dtype} {tuple(array.shape)}, expected int16 {record.shape}"
        for start in range(0, record.shape[0], 64):
            array[start : start + 64]
    except (RuntimeError, OSError, ValueError) as error:
        return f"the array is corrupted: {in_one_line(error, 80)}"
    return ""
