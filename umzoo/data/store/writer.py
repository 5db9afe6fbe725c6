"""Write a store so that incomplete volumes are never read, even after kill -9 or while it is written.

An array is written under a temporary name, synced and renamed; only then its index line is appended and synced.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from typing_extensions import Self

import umzoo
from umzoo.data.store.durable_files import LOCAL, JsonLines, write_text, writing
from umzoo.data.store.identity import content_of
from umzoo.data.store.places import HALVES, VOLUMES
from umzoo.data.store.reader import Store, StoreInfo
from umzoo.data.store.record import VolumeRecord
from umzoo.data.store.shards import is_packed
from umzoo.data.store.targets import update_targets
from umzoo.errors import DataError
from umzoo.spec import InputSpec


class StoreWriter:
    """The only writer of a new or existing store; a context manager.

    Attributes:
        records: the records of the index by id; :meth:`settle` replaces them.

    Raises:
        StoreError: if the disk is full, or the store cannot be written.
        DataError: if *path* is not a store, has another input spec, or is being written by another process.
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
        """The record with the same voxels and geometry as the volume *name*, of any modality; None if there is none."""
        found = self._contents.get(content_of(name))
        return self.records[found] if found else None

    def add(self, record: VolumeRecord) -> None:
        """Add a volume whose array is written to the index, unless the index has its content already."""
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
        self.describe({})
        self.clean()

    def describe(self, targets: Mapping[str, Mapping[str, str]]) -> None:
        """Store *targets*, by id of a volume and name of the target, and drop those of removed volumes."""
        given = {content_of(name): row for name, row in targets.items() if row}
        update_targets(self.path, given, self._contents.keys())

    def clean(self) -> int:
        """Remove leftovers of a stopped run: temporary files, and arrays without an index line; return their bytes."""
        freed = 0
        for folder in self.path.glob(".columns-*"):
            shutil.rmtree(folder, ignore_errors=True)
        arrays = [path for name in (VOLUMES, HALVES) for path in (self.path / name).rglob("*")]
        for file in (*arrays, *self.path.iterdir(), *(self.path / LOCAL).iterdir()):
            orphan = file.suffix == ".b2nd" and file.stem not in self.records
            if orphan or (file.name.startswith(".") and ".writing-" in file.name):
                freed += file.stat().st_size
                file.unlink(missing_ok=True)
        return freed


def _begin(path: Path, spec: InputSpec | None) -> None:
    """Create the store, or check that the existing one was created with *spec*; None accepts any."""
    if is_packed(path):
        raise DataError(f"{path} is packed, so it is read-only: change its original store, and pack that again")
    if spec is None or (path / "store.json").exists():
        begun = Store(path).info.input
        if spec is not None and begun != spec:
            changed = [name for name in InputSpec.model_fields if getattr(begun, name) != getattr(spec, name)]
            changes = ", ".join(f"{name} {getattr(begun, name)}, now {getattr(spec, name)}" for name in changed)
            raise DataError(f"{path} was prepared with other settings ({changes}): use another --out")
        return
    if path.exists() and (not path.is_dir() or not all(_is_ours(item.name) for item in path.iterdir())):
        raise DataError(f"{path} exists and is not a store: give --out a new or empty folder")
    (path / VOLUMES).mkdir(parents=True, exist_ok=True)
    (path / LOCAL).mkdir(exist_ok=True)
    info = StoreInfo(input=spec, umzoo=umzoo.__version__)
    write_text(path / "store.json", json.dumps(info.model_dump(mode="json"), indent=1) + "\n")


def _is_ours(name: str) -> bool:
    """Whether a run that was killed before it wrote ``store.json`` may have left *name*."""
    return name in (LOCAL, HALVES, VOLUMES) or name.startswith(".store.json.")


def _lock(path: Path) -> TextIO:
    """Lock the store until the file is closed or the process ends."""
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
