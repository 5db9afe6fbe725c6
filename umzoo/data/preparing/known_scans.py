"""The state of a store at the start of a run of preparation: known scans are not read again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from umzoo.data.preparing.ledger import remembered
from umzoo.data.preparing.origins import read_removed
from umzoo.data.preparing.report import Outcome
from umzoo.data.reading.scan_source import ScanSource
from umzoo.data.store.identity import subject_hash
from umzoo.data.store.index import read_index
from umzoo.data.store.integrity import damage
from umzoo.data.store.record import VolumeRecord


@dataclass(frozen=True)
class Begun:
    """The state of the store at the start of the run: outcomes by key, records by id, and removed contents."""

    outcomes: Mapping[str, list[Outcome]]
    records: Mapping[str, VolumeRecord]
    removed: Collection[str]


@lru_cache(maxsize=1)
def begun(store: Path, run: str) -> Begun:
    """Return the state of *store* at the start of *run*; read once."""
    records, _ = read_index(store / "index.jsonl")
    return Begun(remembered(store).outcomes, {record.id: record for record in records}, read_removed(store).keys())


@lru_cache(maxsize=1 << 20)
def damage_at_start(store: Path, run: str, name: str) -> str:
    """Return the damage of the array of the volume *name*, if the store held it at the start of *run*."""
    record = begun(store, run).records.get(name)
    return damage(store, record) if record else ""


def recalled(outcome: Outcome, scan: ScanSource, salt: bytes) -> Outcome:
    """Return *outcome* of an earlier run, with the current names of *scan*."""
    subject = subject_hash(scan.subject, salt) if outcome.id else ""
    return replace(outcome, name=_renamed(outcome.name, scan.name), source=scan.source, subject=subject)


def _renamed(old: str, name: str) -> str:
    """*name* with the frame at the end of *old*, if there is one."""
    _, separator, frame = old.rpartition(" [frame ")
    return f"{name} [frame {frame}" if separator else name
