"""A packed store: the arrays of many volumes in one file, for network file systems and object stores.

Layout: ``store.json`` and ``index.jsonl`` as in any store; ``shard-00000.bin`` and so on, which are the volumes' files
one after the other, each followed by its copy at half the resolution if there is one; and ``shards.npy``, the table
of their positions (:data:`ENTRY`). A packed store is read-only.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from umzoo.data.store.halves import half_file, half_shape
from umzoo.data.store.places import array_file
from umzoo.data.store.reader import Store, open_array
from umzoo.data.store.record import Triple
from umzoo.data.store.targets import FILE as TARGETS
from umzoo.errors import DataError
from umzoo.files import written_whole

TABLE = "shards.npy"
ENTRY = np.dtype([("id", "S64"), ("shard", "<i4"), ("offset", "<i8"), ("length", "<i8"), ("sha256", "S64")])
"""Position of an array: shard, offset and length in bytes; the table is sorted by id."""
HALF = ".half"
"""Suffix of a volume's id that gives the id of its copy at half the resolution."""


class PackedStore(Store):
    """A packed store opened for reading; its volumes are read in place, block by block."""

    def place(self, name: str) -> Any:
        """Return the :data:`ENTRY` of the array *name*.

        Raises:
            ValueError: if the table has no such array.
        """
        entry = self._find(name)
        if entry is None:
            raise ValueError(f"it is missing in {TABLE}")
        return entry

    def _find(self, name: str) -> Any | None:
        table = _table(self.path / TABLE)
        row = int(np.searchsorted(table["id"], name.encode()))
        return table[row] if row < len(table) and table["id"][row] == name.encode() else None

    def _open_array(self, name: str, shape: Triple) -> Any:
        entry = self.place(name)
        return open_array(self.path / shard_name(int(entry["shard"])), shape, int(entry["offset"]))

    def _open(self, index: int) -> Any:
        record = self.records[index]
        return self._open_array(record.id, record.shape)

    def _open_half(self, index: int) -> Any:
        record = self.records[index]
        return self._open_array(record.id + HALF, half_shape(record.shape))

    def _has_half(self, index: int) -> bool:
        return self._find(self.records[index].id + HALF) is not None

    def stored_bytes(self, members: NDArray[np.int64]) -> int:
        """Return the size of the volumes *members*, by position."""
        table = _table(self.path / TABLE)
        rows = np.searchsorted(table["id"], self.records.column("id")[members].astype(ENTRY["id"]))
        return int(table["length"][rows.clip(max=max(len(table) - 1, 0))].sum()) if len(table) else 0


def shard_name(number: int) -> str:
    """Return the name of the file of shard *number*."""
    return f"shard-{number:05d}.bin"


def is_packed(path: Path) -> bool:
    """Whether the store in *path* is packed."""
    return (path / TABLE).is_file()


@lru_cache(maxsize=16)
def _table(file: Path) -> NDArray[Any]:
    found: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    if found.dtype != ENTRY:
        raise ValueError(f"{file} is not a valid table of shards")
    return found


def pack(
    store: Path, out: Path, size: int = 1 << 30, progress: Callable[[int, int], None] | None = None
) -> tuple[int, int]:
    """Write the volumes of *store* into shards of about *size* bytes, as the packed store *out*.

    Args:
        store: store written by ``umzoo prepare``; it is not changed.
        out: a folder that does not exist yet.
        size: bytes of a shard at which the next one is started.
        progress: called with the numbers of volumes done and in total.

    Returns:
        The numbers of volumes and of shards.

    Raises:
        DataError: if *out* exists, *store* is packed, or one of its arrays is missing or corrupted.
    """
    if out.exists():
        raise DataError(f"{out} already exists: give a new folder")
    if is_packed(store):
        raise DataError(f"{store} is already packed: copy its folder instead")
    records = Store(store).records
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as temporary:
        temporary.mkdir()
        for name in ("store.json", "index.jsonl", TARGETS):
            if (store / name).is_file():
                shutil.copyfile(store / name, temporary / name)
        entries = np.array(list(_write(store, records, temporary, size, progress)), ENTRY)
        np.save(temporary / TABLE, entries)
    return len(records), len(set(entries["shard"].tolist()))


def _write(
    store: Path, records: Any, folder: Path, size: int, progress: Callable[[int, int], None] | None
) -> Iterator[tuple[bytes, int, int, int, bytes]]:
    """Write the shards into *folder*; yield the entry of each array."""
    number, shard = 0, (folder / shard_name(0)).open("xb")
    try:
        for done, record in enumerate(records, 1):
            if shard.tell() >= size:
                shard.close()
                number += 1
                shard = (folder / shard_name(number)).open("xb")
            files = {record.id: array_file(store, record.id), record.id + HALF: half_file(store, record.id)}
            for name, file in files.items():
                if name == record.id or file.is_file():
                    offset = shard.tell()
                    digest = _append(file, shard, record.sha256 if name == record.id else "", store)
                    yield name.encode(), number, offset, shard.tell() - offset, digest.encode()
            if progress is not None:
                progress(done, len(records))
    finally:
        shard.close()


def _append(file: Path, shard: BinaryIO, expected: str, store: Path) -> str:
    """Append *file*, whose sha256 is *expected* if that is known, to *shard*; return its sha256."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file.stem}: the array cannot be read ({error}): prepare its source again") from None
    digest = hashlib.sha256(content).hexdigest()
    if expected and digest != expected:
        raise DataError(f"{file.stem}: the array is corrupted: run 'umzoo store verify {store}' for details")
    shard.write(content)
    return digest


def shard_damage(store: Path, name: str) -> str:
    """The problem of the volume *name* of the packed *store*; empty if there is none. The whole array is read."""
    opened = PackedStore(store, only=(name,))
    try:
        entries = [opened.place(one) for one in (name, name + HALF)[: 1 + opened.has_half(0)]]
        sound = all(_digest(store, entry) == entry["sha256"].decode() for entry in entries)
    except (OSError, ValueError) as error:
        return f"the array cannot be read: {error}"
    return "" if sound else "the array is corrupted: its sha256 does not match"


def _digest(store: Path, entry: Any) -> str:
    with (store / shard_name(int(entry["shard"]))).open("rb") as file:
        file.seek(int(entry["offset"]))
        return hashlib.sha256(file.read(int(entry["length"]))).hexdigest()
