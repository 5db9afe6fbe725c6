"""Find the scans in the sources of the command line: folders, files and manifests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from umzoo.data.preparing.dicom_discovery import ReadHeaders, add_dicom, group_name
from umzoo.data.preparing.discovered import File, Found
from umzoo.data.preparing.report import refused
from umzoo.data.preparing.source_files import all_files
from umzoo.data.reading.dicom import is_dicom
from umzoo.data.reading.formats import SUFFIXES, packed_kind, suffix_of
from umzoo.data.reading.modality import Label, label_from_options, strongest
from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.regular_files import oddity
from umzoo.data.reading.scan_source import DEFAULT_READING, Reading, ScanSource


def discover(
    sources: Sequence[str],
    options: Sequence[tuple[str, str]],
    read_headers: ReadHeaders,
    reading: Reading = DEFAULT_READING,
) -> Found:
    """Find the scans in *sources*.

    Args:
        sources: folders, files or manifests; ``NAME=PATH`` names the data set, which otherwise gets the folder's name.
        options: modality and pattern pairs of ``--modality``.
        read_headers: reads DICOM headers (in parallel, if it likes).
        reading: how scans are read.

    Raises:
        DataError: if a source does not exist, or if there are only unreadable manifests.
    """
    found, dicom, seen = Found(), [], set()
    packed: dict[tuple[Path, str], list[File]] = defaultdict(list)
    for file in all_files(sources, found):
        if problem := oddity(file.path):
            found.refuse_odd(file, problem)
            continue
        path = file.path.resolve()
        if path in seen:
            continue
        seen.add(path)
        if file.data.is_label(file.path) or (file.row and file.row.is_label):
            why = Refused(Reason.LABELS, "the data set lists it as labels")
            found.refused.append(refused(file.name, file.source, why))
        elif _is_empty(path):
            found.refuse(file.name, "the file is empty (0 bytes)", file.source)
        elif suffix_of(path) in SUFFIXES:
            found.scans.append(_file_scan(file, options))
        elif is_dicom(path):
            dicom.append(file)
        elif kind := packed_kind(path):
            packed[file.path.parent, kind].append(file)
        elif file.listed:
            found.refuse(file.name, "unknown image format", file.source)
        else:
            found.ignore(path)
    add_dicom(dicom, options, read_headers, reading, found)
    for (_, kind), files in packed.items():
        many = f"{len(files)} " if len(files) > 1 else ""
        why = Refused(Reason.PACKED, f"{many}{kind}: unpack first")
        found.refused.append(refused(group_name(files[0], len(files)), files[0].source, why))
    return found


def _is_empty(path: Path) -> bool:
    """Whether a file with a scan's suffix is empty."""
    known = suffix_of(path) in SUFFIXES or path.suffix.lower() in ("", ".dcm", ".ima")
    return known and path.stat().st_size == 0


def _file_scan(file: File, options: Sequence[tuple[str, str]]) -> ScanSource:
    by_user = label_from_options(file.path.as_posix(), file.name, options)
    by_row = file.row.label if file.row else None
    by_layout = file.data.labels(file.path) or (None,)
    labels = tuple(strongest(by_user, by_row, label) or Label("") for label in by_layout)
    subject = file.row.subject if file.row and file.row.subject else f"{file.source}/{file.data.subject(file.path)}"
    return ScanSource((str(file.path),), file.name, file.source, subject, labels, named=file.named, targets=file.others)
