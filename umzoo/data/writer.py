"""Write a store so that neither kill -9 nor a reader who comes too early ever sees half a volume.

An array is written under a temporary name, synced and renamed; only then its index line is appended and synced.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TextIO

import blosc2
import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

import umzoo
from umzoo.data.store import Store, StoreInfo, VolumeRecord
from umzoo.errors import DataError
from umzoo.files import fsync
from umzoo.spec import InputSpec

CHUNK = 64
BLOCK = 16
LOCAL = "local"
"""Folder in a store for what must stay on the machine: the key of the subjects' hash, and reports with file names."""


def write_array(store: Path, name: str, stored: NDArray[np.int16]) -> None:
    """Write ``volumes/<name>.b2nd``, a ``(D, H, W)`` array, in one piece."""
    target = store / "volumes" / f"{name}.b2nd"
    temporary = target.with_name(f".{name}.{os.getpid()}.tmp")
    chunks = tuple(min(CHUNK, n) for n in stored.shape)
    blocks = tuple(min(BLOCK, n) for n in chunks)
    codec = blosc2.CParams(codec=blosc2.Codec.LZ4HC, clevel=5, filters=[blosc2.Filter.SHUFFLE], nthreads=1)
    blosc2.asarray(
        np.ascontiguousarray(stored),
        urlpath=str(temporary),
        mode="w",
        chunks=chunks,
        blocks=blocks,
        cparams=codec,
        dparams=blosc2.DParams(nthreads=1),
    )
    fsync(temporary)
    temporary.replace(target)
    fsync(target.parent)


def write_text(path: Path, text: str) -> None:
    """Replace *path* by *text* in one piece."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync(path.parent)


class JsonLines:
    """A file of JSON lines that is only appended to; a torn last line is cut off when it is opened."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _cut_torn_line(path)
        self._file = path.open("a", encoding="utf-8")

    def append(self, content: Any) -> None:
        """Append one line, and return once it is on disk."""
        self._file.write(json.dumps(content, separators=(",", ":")) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        os.fsync(file.fileno())


class StoreWriter:
    """The only writer of a store, new or begun; a context manager.

    Raises:
        DataError: if *path* is something else, was begun with another input spec, or is being written by another.
    """

    def __init__(self, path: Path, spec: InputSpec) -> None:
        self.path = path
        _begin(path, spec)
        self._lock = _lock(path)
        self._index = JsonLines(path / "index.jsonl")
        self.records = {record.id: record for record in Store(path).records}
        self._contents = {content_of(name): name for name in self.records}
        self._clean()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._index.close()
        self._lock.close()

    def same_content(self, record: VolumeRecord) -> VolumeRecord | None:
        """The record that holds the same voxels and geometry, under whatever modality."""
        name = self._contents.get(content_of(record.id))
        return self.records[name] if name else None

    def add(self, record: VolumeRecord) -> None:
        """Index a volume whose array is written; one of the same content but another modality gives way to it."""
        old = self.same_content(record)
        if old == record:
            return
        self.records[record.id] = record
        self._contents[content_of(record.id)] = record.id
        if old is None or old.id == record.id:
            self._index.append(record.model_dump(mode="json"))
            return
        del self.records[old.id]
        self._rewrite_index()
        self.drop_array(old.id)

    def drop_array(self, name: str) -> None:
        """Remove the array of a volume that is not indexed."""
        (self.path / "volumes" / f"{name}.b2nd").unlink(missing_ok=True)

    def _rewrite_index(self) -> None:
        lines = (json.dumps(record.model_dump(mode="json"), separators=(",", ":")) for record in self.records.values())
        self._index.close()
        write_text(self.path / "index.jsonl", "".join(f"{line}\n" for line in lines))
        self._index = JsonLines(self.path / "index.jsonl")

    def _clean(self) -> None:
        """Remove what a killed run left: temporary files, and arrays without an index line."""
        for file in (self.path / "volumes").iterdir():
            if file.suffix == ".tmp" or (file.suffix == ".b2nd" and file.stem not in self.records):
                file.unlink(missing_ok=True)


def content_of(name: str) -> str:
    """The part of a volume's id that stands for voxels and geometry."""
    return name.partition("-")[0]


def _begin(path: Path, spec: InputSpec) -> None:
    """Make the store, or make sure that the one there was begun with *spec*."""
    if (path / "store.json").exists():
        begun = Store(path).info.input
        if begun != spec:
            changed = [name for name in InputSpec.model_fields if getattr(begun, name) != getattr(spec, name)]
            told = ", ".join(f"{name} {getattr(begun, name)} there, {getattr(spec, name)} asked" for name in changed)
            raise DataError(f"{path} was prepared otherwise ({told}): use another --out")
        return
    if path.exists() and (not path.is_dir() or not all(_is_ours(item.name) for item in path.iterdir())):
        raise DataError(f"{path} exists and is not a store: give --out a new or empty folder")
    (path / "volumes").mkdir(parents=True, exist_ok=True)
    (path / LOCAL).mkdir(exist_ok=True)
    info = StoreInfo(input=spec, umzoo=umzoo.__version__)
    write_text(path / "store.json", json.dumps(info.model_dump(mode="json"), indent=1) + "\n")


def _is_ours(name: str) -> bool:
    """Whether *name* is what a run killed before it wrote ``store.json`` may leave."""
    return name in (LOCAL, "volumes") or name.startswith(".store.json.")


def _lock(path: Path) -> TextIO:
    """Hold the store until the file is closed or the process ends, however it ends."""
    (path / LOCAL).mkdir(exist_ok=True)
    file = (path / LOCAL / "lock").open("w", encoding="utf-8")
    try:
        import fcntl
    except ImportError:
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise DataError(f"{path} is being written by another 'umzoo prepare': wait for it to end") from None
    return file
