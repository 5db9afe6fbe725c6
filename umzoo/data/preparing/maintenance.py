"""Maintenance of a store: remove volumes permanently, find corrupted ones, and delete leftover files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from umzoo.data.preparing.dataset_names import real_names
from umzoo.data.preparing.ledger import compact_ledger, remembered
from umzoo.data.preparing.origins import Origin, read_origins, read_removed, write_origins, write_removed
from umzoo.data.reading.refusal import Reason
from umzoo.data.reading.regular_files import read_json
from umzoo.data.store.durable_files import LOCAL, JsonLines, write_text
from umzoo.data.store.halves import half_damage, make_half
from umzoo.data.store.identity import content_of, subject_hash
from umzoo.data.store.index import read_index
from umzoo.data.store.integrity import damage
from umzoo.data.store.places import array_file
from umzoo.data.store.reader import Store
from umzoo.data.store.record import VolumeRecord
from umzoo.data.store.writer import StoreWriter
from umzoo.errors import ConfigError, DataError


@dataclass(frozen=True)
class Selection:
    """Selects volumes; a volume that matches any of these is selected.

    Args:
        ids: ids of volumes.
        sources: data sets, by their names in the store or by their folder names.
        files: patterns for the names or paths of the source files.
        patients: DICOM's PatientID, or ``subject`` of a manifest.
        stale: volumes that the last report lists as changed or gone.
    """

    ids: Sequence[str] = ()
    sources: Sequence[str] = ()
    files: Sequence[str] = ()
    patients: Sequence[str] = ()
    stale: bool = False

    def __post_init__(self) -> None:
        if not (self.ids or self.sources or self.files or self.patients or self.stale):
            raise ConfigError("no volumes are selected: give ids, --source, --file, --patient or --stale")

    def of(self, store: Path) -> _Chosen:
        """The selection in terms of the names and hashes in *store*."""
        salt = store / LOCAL / "salt"
        if self.patients and not salt.is_file():
            raise DataError(f"{salt} is missing, so patients cannot be found by name: give ids or --source")
        key = bytes.fromhex(salt.read_text(encoding="utf-8")) if self.patients else b""
        named = {public for public, real in real_names(store).items() if real in self.sources}
        last = read_json(store / LOCAL / "report.json").get("stale") or [] if self.stale else []
        return _Chosen(
            frozenset(self.ids) | {str(entry.get("id")) for entry in last},
            frozenset(self.sources) | named,
            tuple(self.files),
            frozenset(subject_hash(patient, key) for patient in self.patients),
        )


@dataclass(frozen=True)
class _Chosen:
    ids: frozenset[str]
    sources: frozenset[str]
    files: tuple[str, ...]
    subjects: frozenset[str]

    def fits(self, name: str, origin: Origin) -> bool:
        if name in self.ids or origin.source in self.sources or origin.subject in self.subjects:
            return True
        return any(fnmatchcase(text, pattern) for pattern in self.files for text in (origin.file, origin.name))


def remove(store: Path | str, chosen: Selection, dry_run: bool = False) -> list[str]:
    """Remove volumes permanently, and record them so that they are not added again; return their ids.

    The index is rewritten before arrays are deleted, so that a reader never looks for a deleted one.

    Raises:
        DataError: if the selection matches nothing, or the store is being written.
    """
    store = Path(store)
    with StoreWriter(store) as writer:
        wanted, origins = chosen.of(store), read_origins(store)
        gone = [name for name, record in writer.records.items() if wanted.fits(name, _origin(record, origins))]
        if not gone:
            raise DataError(f"no volume of {store} matches: see 'umzoo data {store}' and {LOCAL}/report.jsonl")
        if dry_run:
            return gone
        removed = {**read_removed(store), **{content_of(n): _origin(writer.records[n], origins) for n in gone}}
        write_removed(store, removed)
        writer.settle({name: record for name, record in writer.records.items() if name not in gone})
        write_origins(store, {name: origin for name, origin in origins.items() if name not in gone})
    return gone


def undo(store: Path | str, chosen: Selection) -> list[str]:
    """Allow removed volumes to be added again by the next preparation; return the hashes of their contents.

    Raises:
        DataError: if the selection matches nothing, or the store is being written.
    """
    store = Path(store)
    with StoreWriter(store):
        wanted, removed = chosen.of(store), read_removed(store)
        ids = frozenset(content_of(name) for name in wanted.ids)
        back = [name for name, origin in removed.items() if name in ids or wanted.fits(name, origin)]
        if not back:
            raise DataError(f"no removed volume of {store} matches: see {LOCAL}/removed.json")
        write_removed(store, {name: origin for name, origin in removed.items() if name not in back})
        compact_ledger(store, forget=Reason.REMOVED)
    return back


def _origin(record: VolumeRecord, origins: dict[str, Origin]) -> Origin:
    known = origins.get(record.id, Origin("", record.id))
    return Origin(known.file, known.name, record.source, record.subject)


@dataclass
class Verdict:
    """The result of verification: problems by volume, and of the store's other files."""

    volumes: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether there are no problems."""
        return not (self.damaged or self.problems)


def verify(store: Path | str) -> Verdict:
    """Read every array of *store* and compare it with the index.

    Raises:
        DataError: if *store* is not a store.
    """
    store = Path(store)
    records, problems = read_index(_index(store))
    damaged = {
        record.id: problem for record in records if (problem := damage(store, record) or half_damage(store, record.id))
    }
    return Verdict(len(records), damaged, problems + remembered(store).problems)


def halve(store: Path | str) -> tuple[int, int]:
    """Write missing or corrupted copies at half the resolution; return the numbers of copies written and of volumes.

    Raises:
        DataError: if *store* is not a store, is being written, or an array is corrupted.
    """
    store = Path(store)
    with StoreWriter(store) as writer:
        for record in writer.records.values():
            if problem := damage(store, record):
                raise DataError(
                    f"{record.id}: {problem}: prepare its source again (umzoo prepare SOURCE --out {store})"
                )
        made = [name for name in writer.records if make_half(store, name)]
    return len(made), len(writer.records)


def compact(store: Path | str) -> tuple[int, int]:
    """Drop corrupted and outdated lines of index and ledger, and leftover files; return lines dropped and bytes freed.

    Raises:
        DataError: if *store* is not a store, or is being written.
    """
    store = Path(store)
    file = _index(store)
    records, problems = read_index(file)
    lines = file.read_bytes().count(b"\n") if file.is_file() else 0
    before = _size(store)
    if problems:
        with closing(JsonLines(file)):  # cuts a torn last line
            pass
        write_text(file, "".join(f"{record.model_dump_json()}\n" for record in records))
    with StoreWriter(store) as writer:
        writer.settle(writer.records)
        dropped = lines - len(records) + compact_ledger(store)
        origins = read_origins(store)
        write_origins(store, {name: origin for name, origin in origins.items() if name in writer.records})
    return dropped, max(before - _size(store), 0)


def _index(store: Path) -> Path:
    """The index of *store*, which must be one."""
    if not (store / "store.json").is_file():
        Store(store)
    return store / "index.jsonl"


def _size(store: Path) -> int:
    return sum(file.stat().st_size for file in store.rglob("*") if file.is_file())


def file_of(store: Path, name: str) -> str:
    """The source file of the volume *name* if known, otherwise the file of its array."""
    origin = read_origins(store).get(name)
    return origin.name if origin and origin.name else str(array_file(store, name))
