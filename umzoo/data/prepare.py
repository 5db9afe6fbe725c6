"""Turn folders of scans into a training store."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from umzoo.data.dicom import Header, read_headers
from umzoo.data.discover import Found, discover
from umzoo.data.geometry import Spacing
from umzoo.data.ledger import Ledger, remembered
from umzoo.data.modality import PRECEDENCE, parse_options
from umzoo.data.processes import Died, imap_unordered
from umzoo.data.refusal import Reason, Refused
from umzoo.data.report import Outcome, Report, refused
from umzoo.data.scan_source import MAX_FRAMES, Reading, ScanSource
from umzoo.data.store import VolumeRecord
from umzoo.data.worker import Job, prepare_scan
from umzoo.data.writer import LOCAL, StoreWriter, write_text
from umzoo.errors import DataError
from umzoo.spec import InputSpec

Progress = Callable[[int, int, Report], None]
_HEADERS_AT_ONCE = 64


def prepare(
    sources: Sequence[str | Path],
    out: Path | str,
    *,
    modality: Sequence[str] = (),
    spacing: Spacing | None = (1.0, 1.0, 1.0),
    workers: int | None = None,
    scheduler: str = "",
    max_frames: int = MAX_FRAMES,
    uneven: Literal["refuse", "resample"] = "refuse",
    nan: Literal["refuse", "fill"] = "refuse",
    progress: Progress | None = None,
) -> Report:
    """Read every scan in *sources* and write the store *out*; continue it if it was begun.

    Args:
        sources: folders, files or manifests, ``NAME=PATH`` to name the data set.
        out: folder of the store.
        modality: ``MODALITY=PATTERN`` for files that do not tell their modality.
        spacing: mm (D, H, W) to resample to; None keeps the native spacing.
        workers: processes; None is one a core, 0 works in this process.
        scheduler: address of a Dask scheduler, such as ``tcp://host:8786``, whose workers see the same files.
        max_frames: volumes taken from one 4-D file, at most.
        uneven: whether slices at uneven distances are refused, or resampled to even ones.
        nan: whether volumes with NaN or infinity are refused, or these voxels are filled with the least value.
        progress: called with scans done, scans in all, and the report so far.

    Raises:
        DataError: if there are no scans, or the store cannot be written or was begun otherwise.
        ConfigError: if a modality option is malformed.
    """
    options = parse_options(modality)
    cores = (os.cpu_count() or 1) if workers is None else workers
    store, spec = Path(out).resolve(), InputSpec(spacing=spacing)
    reading = Reading(max_frames, uneven, nan)
    found = discover([str(source) for source in sources], options, partial(_headers, workers=cores), reading)
    if not found.scans and not found.refused:
        raise DataError(f"no scan in {', '.join(map(str, sources))}: expected NIfTI, NRRD, MetaImage or DICOM files")
    with StoreWriter(store, spec) as writer, closing(Ledger(store)) as ledger:
        job = Job(store, spec, _salt(store), secrets.token_hex(8), reading)
        results = _on_dask(found.scans, job, scheduler) if scheduler else _locally(found.scans, job, cores)
        report = _collect(found, results, writer, ledger, progress or (lambda done, total, report: None))
    _write_report(store, report)
    return report


def _headers(files: Sequence[str], workers: int) -> list[Header]:
    """DICOM headers, in parallel; a file over which a process dies is told from its neighbors."""
    if not files:
        return []
    parts = [files[start : start + _HEADERS_AT_ONCE] for start in range(0, len(files), _HEADERS_AT_ONCE)]
    headers: list[Header] = []
    for part, result in imap_unordered(read_headers, parts, min(workers, len(parts))):
        if not isinstance(result, Died):
            headers += result
        elif len(part) == 1:
            headers.append(Header(part[0], problem=Refused(Reason.DIED, result.how)))
        else:
            headers += [header for file in part for header in _headers([file], workers)]
    return sorted(headers, key=lambda header: header.file)


def _locally(scans: Sequence[ScanSource], job: Job, workers: int) -> Iterator[tuple[ScanSource, list[Outcome]]]:
    for scan, result in imap_unordered(partial(prepare_scan, job=job), scans, min(workers, len(scans))):
        yield scan, [_died(scan, result.how)] if isinstance(result, Died) else result


def _died(scan: ScanSource, how: str) -> Outcome:
    return refused(scan.name, scan.source, Refused(Reason.DIED, how))


def _on_dask(scans: Sequence[ScanSource], job: Job, scheduler: str) -> Iterator[tuple[ScanSource, list[Outcome]]]:
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise DataError("--scheduler needs Dask: pip install 'umzoo[dask]'") from None
    try:
        client = Client(scheduler, timeout=30)
    except (OSError, ValueError) as error:
        raise DataError(f"no Dask scheduler answers at {scheduler}: {error}") from None
    with client:
        futures = {client.submit(prepare_scan, scan, job, pure=False): scan for scan in scans}
        for future in as_completed(futures):
            scan = futures.pop(future)
            try:
                yield scan, future.result()
            except KilledWorker:
                yield scan, [_died(scan, "the Dask workers that read it died")]
            future.release()


def _collect(
    found: Found,
    results: Iterable[tuple[ScanSource, list[Outcome]]],
    writer: StoreWriter,
    ledger: Ledger,
    progress: Progress,
) -> Report:
    """Enter results into index and ledger as they come."""
    report, now = Report(ignored=found.ignored), set[str]()
    report.add(found.refused)
    memory = remembered(writer.path)
    names = {o.id: o.name for outcomes in memory.values() for o in outcomes if o.status == "known"}
    keys = set(memory)
    progress(0, len(found.scans), report)
    for done, (_, outcomes) in enumerate(results, 1):
        settled = [_enter(outcome, writer, names, now) for outcome in outcomes]
        key = outcomes[0].key if all(outcome.key for outcome in outcomes) else ""
        if key and key not in keys:
            ledger.append(key, settled)
            keys.add(key)
        report.add(settled)
        progress(done, len(found.scans), report)
    return report


def _enter(outcome: Outcome, writer: StoreWriter, names: dict[str, str], now: set[str]) -> Outcome:
    """Index a new volume, unless the same voxels are there already; a better told modality replaces the old one.

    Args:
        names: what the volumes that are in the store for certain are called.
        now: ids settled in this run.
    """
    record = outcome.record
    if record is None:
        if outcome.status == "known" and outcome.id in now:
            return replace(outcome, status="duplicate", detail=f"same voxels as {names[outcome.id]}")
        if outcome.status == "known":
            names[outcome.id] = outcome.name
            now.add(outcome.id)
        return outcome
    old = writer.same_content(record)
    if old is not None and _stays(old, record, old.id in names, old.id in now):
        if old.id != record.id:
            writer.drop_array(record.id)
        detail = f"same voxels as {names.get(old.id, old.id)}"
        if old.id != record.id:
            detail += f", which is '{old.modality or 'unknown'}' by {old.modality_from}"
        return replace(outcome, status="duplicate", detail=detail, id=old.id, record=None)
    writer.add(record)
    names[record.id] = outcome.name
    now.add(record.id)
    return outcome


def _stays(old: VolumeRecord, new: VolumeRecord, settled: bool, now: bool) -> bool:
    """Whether *old* keeps its place against *new* of the same voxels."""
    if old.modality == new.modality:
        return settled
    return now or PRECEDENCE.index(new.modality_from) < PRECEDENCE.index(old.modality_from)


def _salt(store: Path) -> bytes:
    """The store's own key for the hash of subjects, made once; it never enters what is shared."""
    file = store / LOCAL / "salt"
    if not file.exists():
        write_text(file, secrets.token_hex(32))
        file.chmod(0o600)
    return bytes.fromhex(file.read_text(encoding="utf-8"))


def _write_report(store: Path, report: Report) -> None:
    folder = store / LOCAL
    write_text(folder / "report.json", json.dumps(report.summary(), indent=1) + "\n")
    lines = (json.dumps({k: v for k, v in o.line().items() if k != "key"}) for o in report.outcomes)
    write_text(folder / "report.jsonl", "".join(f"{line}\n" for line in lines))
