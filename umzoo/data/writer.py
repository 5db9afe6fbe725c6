"""Write a store so that neither kill -9 nor a reader who comes too early ever sees half a volume.

An array is written under a temporary name, synced and renamed; only then its index line is appended and synced.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import blosc2
import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

import umzoo
from umzoo.data.record import VolumeRecord
from umzoo.data.store import Store, StoreInfo
from umzoo.errors import DataError
from umzoo.files import fsync
from umzoo.spec import InputSpec

CHUNK = 64
BLOCK = 16
LOCAL = "local"
"""Folder in a store for what must stay on the machine: the key of the subjects' hash, and reports with file names."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(DataError):
    """The store itself cannot be written, which no other scan would mend."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong in writing *path* into a :class:`StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            advice = "free some, and run the same command: what is in stays, and it goes on from there"
            raise StoreError(f"no space left for {path} ({_free(path)}): {advice}") from None
        raise StoreError(
            f"cannot write {path} ({error.strerror or error}): mend that, and run the same command"
        ) from None


def _free(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free / 1e6:.0f} MB free, or a quota or limit of the size of files"
    except OSError:
        return "its folder is gone"


def write_array(store: Path, name: str, stored: NDArray[np.int16]) -> str:
    """Write ``volumes/<name>.b2nd``, a ``(D, H, W)`` array, in one piece; return the sha256 of the file.

    Raises:
        StoreError: if the disk is full, or the file cannot be written.
    """
    target = store / "volumes" / f"{name}.b2nd"
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
    _replace(target, frame)
    return hashlib.sha256(frame).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Replace *path* by *text* in one piece.

    Raises:
        StoreError: if the disk is full, or the file cannot be written.
    """
    _replace(path, text.encode("utf-8", "backslashreplace"))


def _replace(target: Path, content: bytes) -> None:
    """Write *content* under a temporary name, sync and rename it; nothing is left of it if that fails."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with writing(target):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            fsync(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


class JsonLines:
    """A file of JSON lines that is only appended to; a torn last line is cut off when it is opened.

    Raises:
        StoreError: if the disk is full, or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _cut_torn_line(path)
            self._file = path.open("ab", buffering=0)

    def append(self, content: Any) -> None:
        """Append one line, and return once it is on disk; of a line that does not fit, nothing is left."""
        line = (json.dumps(content, separators=(",", ":")) + "\n").encode()
        end = os.fstat(self._file.fileno()).st_size
        with writing(self.path):
            try:
                while line:
                    line = line[self._file.write(line) :]
                os.fsync(self._file.fileno())
            except OSError:
                os.ftruncate(self._file.fileno(), end)
                raise

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

    Attributes:
        records: what the index holds, by id; :meth:`settle` replaces it.

    Raises:
        StoreError: if the disk is full, or the store cannot be written.
        DataError: if *path* is something else, was begun with another input spec, or is being written by another.
    """

    def __init__(self, path: Path, spec: InputSpec | None = None) -> None:
        self.path = path
        with writing(path / "store.json"):
            _begin(path, spec)
            self._lock = _lock(path)
        self.records = {record.id: record for record in Store(path).records}
        self._contents = {content_of(name): name for name in self.records}
        self._index = JsonLines(path / "index.jsonl")
        self.clean()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._index.close()
        self.clean()
        self._lock.close()

    def same_content(self, name: str) -> VolumeRecord | None:
        """The record that holds the same voxels and geometry as the volume *name*, under whatever modality."""
        found = self._contents.get(content_of(name))
        return self.records[found] if found else None

    def add(self, record: VolumeRecord) -> None:
        """Index a volume whose array is written, unless its content is there already."""
        if self.same_content(record.id) is None:
            self._index.append(record.model_dump(mode="json"))
            self.records[record.id] = record
            self._contents[content_of(record.id)] = record.id

    def settle(self, records: Mapping[str, VolumeRecord]) -> None:
        """Make *records* the whole index, in the order of their ids, and remove the arrays of all others."""
        lines = (json.dumps(records[name].model_dump(mode="json"), separators=(",", ":")) for name in sorted(records))
        text = "".join(f"{line}\n" for line in lines)
        file = self.path / "index.jsonl"
        if not file.is_file() or file.read_bytes() != text.encode():
            self._index.close()
            try:
                write_text(file, text)
            finally:
                self._index = JsonLines(file)
        self.records = dict(records)
        self._contents = {content_of(name): name for name in self.records}
        self.clean()

    def clean(self) -> int:
        """Remove what a stopped run left: temporary files, and arrays without an index line; return their bytes."""
        freed = 0
        for folder in (self.path, self.path / "volumes", self.path / LOCAL):
            for file in folder.iterdir():
                orphan = folder.name == "volumes" and file.suffix == ".b2nd" and file.stem not in self.records
                if orphan or (file.name.startswith(".") and file.suffix == ".tmp"):
                    freed += file.stat().st_size
                    file.unlink(missing_ok=True)
        return freed


def content_of(name: str) -> str:
    """The part of a volume's id that stands for voxels and geometry."""
    return name.partition("-")[0]


def _begin(path: Path, spec: InputSpec | None) -> None:
    """Make the store, or make sure that the one there was begun with *spec*; None takes whatever is there."""
    if spec is None or (path / "store.json").exists():
        begun = Store(path).info.input
        if spec is not None and begun != spec:
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
        raise DataError(f"{path} is being written by another 'umzoo' command: wait for it to end") from None
    return file
