"""Prepare one scan: runs in a worker process, on this machine or another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.preparing.content_checks import sample
from umzoo.data.preparing.ledger import key_of, remembered
from umzoo.data.preparing.origins import read_removed
from umzoo.data.preparing.report import REPAIRED, Outcome, refused
from umzoo.data.preparing.standardization import check, standardize
from umzoo.data.preparing.statistics import describe
from umzoo.data.reading import reader_client
from umzoo.data.reading.modality import Label, guess
from umzoo.data.reading.refusal import Reason, Refused, one_line
from umzoo.data.reading.scan_source import Reading, ScanSource
from umzoo.data.reading.volume import Volume, read_volumes
from umzoo.data.store.arrays import write_array
from umzoo.data.store.durable_files import StoreError
from umzoo.data.store.index import read_index
from umzoo.data.store.integrity import damage
from umzoo.data.store.record import VolumeRecord
from umzoo.data.store.writer import content_of
from umzoo.spec import InputSpec


@dataclass(frozen=True)
class Job:
    """What is the same for all scans of a run.

    Args:
        salt: secret key of the subjects' hash.
        run: a name of this run, after which a worker reads the ledger anew.
    """

    store: Path
    spec: InputSpec
    salt: bytes
    run: str
    reading: Reading


def prepare_scan(scan: ScanSource, job: Job) -> list[Outcome]:
    """Read *scan*, write its volumes into the store, and say what became of each. Never raises.

    A scan that is known is not read again, if the arrays of its volumes are what the index says.
    """
    try:
        key = key_of(scan, job.reading)
    except Refused as why:
        return [refused(scan.name, scan.source, why)]
    except (OSError, ValueError) as error:
        return [refused(scan.name, scan.source, Refused(Reason.UNREADABLE, one_line(error, *scan.files)))]
    known = _begun(job.store, job.run).outcomes.get(key)
    if known is not None and not any(_damage(job.store, job.run, outcome.id) for outcome in known):
        return [_recalled(outcome, scan, job) for outcome in known]
    outcomes: list[Outcome] = []
    try:
        for volume in read_volumes(scan, job.reading):
            outcomes.append(_prepare(scan, volume, job, key))
            if outcomes[-1].reason == Reason.STORE.value:
                break
    except Refused as why:
        outcomes.append(refused(scan.name, scan.source, why, key))
    except MemoryError:
        outcomes.append(refused(scan.name, scan.source, Refused(Reason.MEMORY, "not enough memory to read it")))
    return outcomes


def prepare_in_worker(scan: ScanSource, job: Job) -> list[Outcome]:
    """:func:`prepare_scan` in a process that may end over the scan, which is read on the spot."""
    reader_client.expendable = True
    return prepare_scan(scan, job)


@dataclass(frozen=True)
class _Begun:
    """What the store held when the run began: outcomes by key, records by id, and contents that must stay out."""

    outcomes: Mapping[str, list[Outcome]]
    records: Mapping[str, VolumeRecord]
    removed: Collection[str]


@lru_cache(maxsize=1)
def _begun(store: Path, run: str) -> _Begun:
    records, _ = read_index(store / "index.jsonl")
    return _Begun(remembered(store).outcomes, {record.id: record for record in records}, read_removed(store).keys())


@lru_cache(maxsize=1 << 20)
def _damage(store: Path, run: str, name: str) -> str:
    """What is wrong with the array of the volume *name*, if the store held it when the *run* began."""
    record = _begun(store, run).records.get(name)
    return damage(store, record) if record else ""


def _recalled(outcome: Outcome, scan: ScanSource, job: Job) -> Outcome:
    """*outcome* of an earlier run, as the *scan* is called and named now."""
    subject = subject_hash(scan.subject, job.salt) if outcome.id else ""
    return replace(outcome, name=_renamed(outcome.name, scan.name), source=scan.source, subject=subject)


def _renamed(old: str, name: str) -> str:
    """*name* with the frame that *old* ends in, if any."""
    _, separator, frame = old.rpartition(" [frame ")
    return f"{name} [frame {frame}" if separator else name


def _prepare(scan: ScanSource, volume: Volume, job: Job, key: str) -> Outcome:
    name = scan.name if volume.frames == 1 else f"{scan.name} [frame {volume.frame}]"
    try:
        record, notes = _store(scan, volume, job)
    except StoreError as error:
        return refused(name, scan.source, Refused(Reason.STORE, str(error)))
    except Refused as why:
        return refused(name, scan.source, why, key)
    except MemoryError:
        return refused(name, scan.source, Refused(Reason.MEMORY, "not enough memory to prepare it"))
    except Exception as error:  # noqa: BLE001 - one bad volume must not end the run
        detail = f"{type(error).__name__}: {one_line(error, *scan.files)}"
        return refused(name, scan.source, Refused(Reason.FAILED, detail))
    return Outcome(
        name, "in", "", "", scan.source, key, record.id, record.modality, record.modality_from, record.contrast,
        record.subject, volume.notes + notes, record,
    )  # fmt: skip


def _store(scan: ScanSource, volume: Volume, job: Job) -> tuple[VolumeRecord, tuple[str, ...]]:
    """Check, resample, quantize, describe and write one volume; return its record and notes."""
    limits = check(volume, job.spec)
    told = scan.label(volume.frame, volume.frames)
    label = told if told and told.modality else _guessed(volume, told)
    name = content_id(volume.voxels, volume.spacing, label)
    if content_of(name) in _begun(job.store, job.run).removed:
        raise Refused(Reason.REMOVED, "it was removed with 'umzoo store remove'")
    repaired = (REPAIRED,) if _damage(job.store, job.run, name) else ()
    made = standardize(volume, limits, label.modality, job.spec)
    stored, encoding = made.voxels, made.encoding
    statistics = describe(stored, encoding, int(name.partition("-")[0], 16))
    total = write_array(job.store, name, stored)
    record = VolumeRecord(
        id=name,
        modality=label.modality,
        modality_from=label.origin,
        contrast=label.contrast,
        source=scan.source,
        subject=subject_hash(scan.subject, job.salt),
        shape=stored.shape,
        spacing=made.spacing,
        slope=encoding.slope,
        intercept=encoding.intercept,
        window=encoding.window,
        mean=statistics.mean,
        std=statistics.std,
        foreground=statistics.foreground,
        points=statistics.points,
        sha256=total,
    )
    return record, encoding.notes + repaired


def _guessed(volume: Volume, told: Label | None) -> Label:
    return replace(guess(sample(volume.voxels)), contrast=told.contrast if told else "")


def content_id(voxels: NDArray[Any], spacing: tuple[float, ...], label: Label) -> str:
    """Hash of physical values ``(D, H, W)``, shape and spacing; then the modality, which decides the encoding."""
    digest = blake2b(repr((voxels.shape, [round(s, 3) for s in spacing])).encode(), digest_size=12)
    for plane in voxels:
        digest.update(np.ascontiguousarray(plane, "<f4").data)
    return f"{digest.hexdigest()}-{label.modality or 'unknown'}"


def subject_hash(name: str, salt: bytes) -> str:
    """Keyed hash of a person's name: equal for one person, meaningless without the store's key."""
    return blake2b(name.encode("utf-8", "surrogatepass"), key=salt, digest_size=8).hexdigest()
