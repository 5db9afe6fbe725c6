"""Prepare one scan: runs in a worker process, on this machine or another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from umzoo.data.preparing.content_checks import sample
from umzoo.data.preparing.known_scans import begun, damage_at_start, recalled
from umzoo.data.preparing.ledger import key_of
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
from umzoo.data.store.halves import write_half
from umzoo.data.store.identity import content_id, content_of, subject_hash
from umzoo.data.store.record import VolumeRecord
from umzoo.spec import InputSpec


@dataclass(frozen=True)
class Job:
    """The settings shared by all scans of a run.

    Args:
        salt: secret key of the subjects' hash.
        run: a name of this run; a worker reads the ledger again for a new run.
        halves: whether copies at half the resolution are written.
    """

    store: Path
    spec: InputSpec
    salt: bytes
    run: str
    reading: Reading
    halves: bool = False


def prepare_scan(scan: ScanSource, job: Job) -> list[Outcome]:
    """Read *scan*, write its volumes into the store, and return an outcome for each. Never raises.

    A known scan is not read again if the arrays of its volumes agree with the index.
    """
    try:
        key = key_of(scan, job.reading)
    except Refused as why:
        return [refused(scan.name, scan.source, why)]
    except (OSError, ValueError) as error:
        return [refused(scan.name, scan.source, Refused(Reason.UNREADABLE, one_line(error, *scan.files)))]
    known = begun(job.store, job.run).outcomes.get(key)
    if known is not None and not any(damage_at_start(job.store, job.run, outcome.id) for outcome in known):
        return [recalled(outcome, scan, job.salt) for outcome in known]
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
    """:func:`prepare_scan` in a process that the scan may crash, so it is read in this process."""
    reader_client.expendable = True
    return prepare_scan(scan, job)


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
    given = scan.label(volume.frame, volume.frames)
    label = given if given and given.modality else _guessed(volume, given)
    name = content_id(volume.voxels, volume.spacing, label.modality)
    if content_of(name) in begun(job.store, job.run).removed:
        raise Refused(Reason.REMOVED, "it was removed with 'umzoo store remove'")
    repaired = (REPAIRED,) if damage_at_start(job.store, job.run, name) else ()
    made = standardize(volume, limits, label.modality, job.spec)
    stored, encoding = made.voxels, made.encoding
    statistics = describe(stored, encoding, int(content_of(name), 16))
    total = write_array(job.store, name, stored)
    if job.halves:
        write_half(job.store, name, stored)
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


def _guessed(volume: Volume, given: Label | None) -> Label:
    return replace(guess(sample(volume.voxels)), contrast=given.contrast if given else "")
