"""Whether the arrays of a store are what its index says."""

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
    """What is wrong with the array of *record*; empty if nothing. All of it is read."""
    if is_packed(store):
        return shard_damage(store, record.id)
    file = array_file(store, record.id)
    if problem := oddity(file):
        return "the array is missing" if problem == "no such file" else problem
    if record.sha256:
        return "" if sha256(file) == record.sha256 else "the array is damaged: it has another sha256 than was written"
    try:
        array = blosc2.open(str(file), mode="r")
        if tuple(array.shape) != record.shape or array.dtype != np.int16:
            return f"the array is {array.dtype} {tuple(array.shape)}, expected int16 {record.shape}"
        for start in range(0, record.shape[0], 64):
            array[start : start + 64]
    except (RuntimeError, OSError, ValueError) as error:
        return f"the array is damaged: {in_one_line(error, 80)}"
    return ""
