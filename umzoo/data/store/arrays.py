"""Arrays of a store: int16, blosc2, in blocks small enough to read a crop."""

from __future__ import annotations

import hashlib
from pathlib import Path

import blosc2
import numpy as np
from numpy.typing import NDArray

from umzoo.data.store.durable_files import replace_file, writing
from umzoo.data.store.places import VOLUMES, array_file
from umzoo.files import fsync

CHUNK = 64
BLOCK = 16


def write_array(store: Path, name: str, stored: NDArray[np.int16], folder: str = VOLUMES) -> str:
    """Write the volume *name*, a ``(D, H, W)`` array, into *folder* atomically; return the sha256 of the file.

    Raises:
        StoreError: if the disk is full, or the file cannot be written.
    """
    target = array_file(store, name, folder)
    _make_folder(target.parent)
    chunks = tuple(min(CHUNK, n) for n in stored.shape)
    blocks = tuple(min(BLOCK, n) for n in chunks)
    codec = blosc2.CParams(codec=blosc2.Codec.LZ4HC, clevel=5, filters=[blosc2.Filter.SHUFFLE], nthreads=1)
    frame = blosc2.asarray(
        np.ascontiguousarray(stored),
        contiguous=True,
        chunks=chunks,
        blocks=blocks,
        cparams=codec,
        dparams=blosc2.DParams(nthreads=1),
    ).to_cframe()
    replace_file(target, frame)
    return hashlib.sha256(frame).hexdigest()


def _make_folder(folder: Path) -> None:
    """Create *folder* for arrays and flush it to disk, so that it survives a power failure."""
    if not folder.is_dir():
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            fsync(folder.parent)
