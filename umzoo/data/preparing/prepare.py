"""Turn folders of scans into a training store."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal

from umzoo.data.preparing.collection import Collector, Progress
from umzoo.data.preparing.dask_pool import on_dask
from umzoo.data.preparing.dataset_names import public_names
from umzoo.data.preparing.discovery import discover
from umzoo.data.preparing.ledger import Ledger
from umzoo.data.preparing.manifest import SUFFIXES
from umzoo.data.preparing.process_pool import Died, imap_unordered
from umzoo.data.preparing.report import Outcome, Report, refused
from umzoo.data.preparing.scan_job import Job, prepare_in_worker, prepare_scan
from umzoo.data.preparing.source_files import named_source
from umzoo.data.preparing.target_columns import with_targets
from umzoo.data.reading.dicom import Header, read_headers
from umzoo.data.reading.geometry import Spacing
from umzoo.data.reading.modality import label_from_options, parse_options
from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.scan_source import MAX_FRAMES, Reading, ScanSource
from umzoo.data.store.durable_files import LOCAL, write_text
from umzoo.data.store.writer import StoreWriter
from umzoo.errors import DataError
from umzoo.spec import InputSpec

log = logging.getLogger(__name__)

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
    halves: bool = True,
    targets: Sequence[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Read every scan in *sources* and write the store *out*; an existing store is continued.

    Args:
        sources: folders, files or manifests, ``NAME=PATH`` to name the data set.
        out: folder of the store.
        modality: ``MODALITY=PATTERN`` for files of unknown modality.
        spacing: mm (D, H, W) to resample to; None keeps the native spacing.
        workers: number of processes; None is one per core, 0 uses this process.
        scheduler: address of a Dask scheduler, such as ``tcp://host:8786``; its workers need access to the same files.
        max_frames: maximum number of volumes taken from one 4-D file.
        uneven: whether unevenly spaced slices are refused, or resampled to even spacing.
        nan: whether volumes with NaN or infinity are refused, or these voxels are filled with the smallest value.
        halves: whether a copy of each volume at half the resolution is written, to read coarse crops faster.
        targets: columns of manifests that are stored for supervised pre-training.
        progress: called with the numbers of scans done and in total, and the report so far.

    The index (sorted by id) and the report (in the order of discovery) do not depend on the order of processing.

    Raises:
        StoreError: if the disk is full or the store cannot be written; the report lists the scans done so far.
        DataError: if there are no scans, the store has other settings, or no manifest has a column of *targets*.
        ConfigError: if a modality option or the name of a target is malformed.
    """
    options = parse_options(modality)
    cores = (os.cpu_count() or 1) if workers is None else workers
    store, spec = Path(out).resolve(), InputSpec(spacing=spacing)
    reading = Reading(max_frames, uneven, nan)
    found = discover([str(source) for source in sources], options, partial(_headers, workers=cores), reading)
    if not found.scans and not found.refused:
        raise DataError(f"no scan in {', '.join(map(str, sources))}: expected NIfTI, NRRD, MetaImage or DICOM files")
    _warn_of_unused(modality, options, found.scans)
    scans = with_targets(found.scans, targets)
    with StoreWriter(store, spec) as writer, closing(Ledger(store)) as ledger:
        scans = public_names(scans, store)
        job = Job(store, spec, _salt(store), secrets.token_hex(8), reading, halves)
        results = _results(scans, job, cores, scheduler)
        collector = Collector(scans, found, writer, ledger, [_root(source) for source in sources])
        with closing(results):
            return collector.collect(results, progress or (lambda done, total, report: None))


def _warn_of_unused(given: Sequence[str], options: Sequence[tuple[str, str]], scans: Sequence[ScanSource]) -> None:
    """Warn of each of the *given* options, parsed as *options*, whose pattern matches no scan."""
    for text, option in zip(given, options, strict=True):
        if not any(label_from_options(file, scan.name, [option]) for scan in scans for file in scan.files[:1]):
            log.warning(
                "--modality '%s' matches no scan: patterns must match whole paths, and '*' matches '/' too", text
            )


def _headers(files: Sequence[str], workers: int) -> list[Header]:
    """DICOM headers, read in parallel; if a process dies, its files are read one by one to find the cause."""
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


Results = Generator[tuple[ScanSource, list[Outcome]], None, None]


def _results(scans: Sequence[ScanSource], job: Job, workers: int, scheduler: str) -> Results:
    work = partial(prepare_in_worker if workers and not scheduler else prepare_scan, job=job)
    done = on_dask(work, scans, scheduler) if scheduler else imap_unordered(work, scans, min(workers, len(scans)))
    for scan, result in done:
        yield scan, [_died(scan, result.how)] if isinstance(result, Died) else result


def _died(scan: ScanSource, how: str) -> Outcome:
    return refused(scan.name, scan.source, Refused(Reason.DIED, how))


def _root(source: str | Path) -> Path:
    """The folder below which a *source* finds its scans, or the scan."""
    path, _ = named_source(str(source))
    return path.parent if path.suffix.lower() in SUFFIXES else path


def _salt(store: Path) -> bytes:
    """The store's key for the hash of subjects, created once; it is never shared."""
    file = store / LOCAL / "salt"
    if not file.exists():
        write_text(file, secrets.token_hex(32))
        file.chmod(0o600)
    return bytes.fromhex(file.read_text(encoding="utf-8"))
