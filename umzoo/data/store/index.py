"""The index of a store: read line by line, or from columns cached next to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from umzoo.data.store.column_files import Kept, columns_folder, columns_folders, covered_bytes, keep
from umzoo.data.store.record import VolumeRecord
from umzoo.data.store.record_columns import NAMES, POINTS, Records, joined
from umzoo.errors import DataError, in_one_line

LEAST = 1000
"""Minimum number of records for which columns are cached in files; fewer are parsed as quickly."""
CHUNK = 10_000
"""Number of records converted to columns at a time."""


def read_records(file: Path) -> Records:
    """Return the records of *file* sorted by id, one per id; a torn last line is left out.

    Raises:
        DataError: if a line is corrupted.
    """
    if not file.is_file():
        return Records.of([])
    folder, begun = columns_folders(file)
    if (kept := kept_columns(folder)) is not None:
        return kept
    records, problems = _extended_columns(file, begun) if begun else _read_columns(file)
    if problems:
        raise DataError(
            f"{problems[0]}: run 'umzoo store compact {file.parent}' to drop it, then prepare its source again"
        )
    return keep_columns(folder, records) if columns_folder(file) == folder else records


def read_index(file: Path) -> tuple[list[VolumeRecord], list[str]]:
    """Records of *file* sorted by id, one per id, and errors in other lines; an incomplete last line is not an
    error."""
    problems: list[str] = []
    records = {record.id: record for record in _parsed(file, problems)}
    return [records[key] for key in sorted(records)], problems


def _extended_columns(file: Path, begun: Path) -> tuple[Records, list[str]]:
    """Columns of *file*, whose first lines have columns in the folder *begun*; only the others are parsed."""
    known = kept_columns(begun)
    records, problems = _read_columns(file, known, covered_bytes(begun)) if known else _read_columns(file)
    return _read_columns(file) if problems and known else (records, problems)


def _read_columns(file: Path, known: Records | None = None, start: int = 0) -> tuple[Records, list[str]]:
    """The records of *file* as columns: the *known* ones of the bytes before *start*, then the others, in chunks."""
    problems: list[str] = []
    parsed = _parsed(file, problems, start)
    parts = [known] if known else []
    while chunk := list(islice(parsed, CHUNK)):
        parts.append(Records.of(chunk))
    return joined(parts), problems


def _parsed(file: Path, problems: list[str], start: int = 0) -> Iterator[VolumeRecord]:
    """Yield the records of *file* from byte *start*; add an error to *problems* for each invalid line."""
    with file.open("rb") if file.is_file() else BytesIO() as stream:
        stream.seek(start)
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = _record(line)
            except RecursionError:
                problems.append(f"{file} line {number} is corrupted: it is nested too deeply")
            except (ValueError, TypeError) as error:
                problems.append(f"{file} line {number} is corrupted: {in_one_line(error, 120)}")
            else:
                yield record


def _record(line: bytes) -> VolumeRecord:
    """The record of *line*; if fast validation fails, it is validated again in a way that explains the error."""
    try:
        return VolumeRecord.model_validate_json(line)
    except ValidationError:
        return VolumeRecord.parse(json.loads(line.decode("utf-8", "replace")))


def kept_columns(folder: Path) -> Records | None:
    """Return the columns in *folder*; None if they are missing or corrupted."""
    try:
        kept = Kept(folder)
    except (OSError, ValueError, EOFError):
        return None
    lengths = {len(column) for name, column in kept.columns.items() if name != POINTS}
    whole = kept.columns.keys() == set(NAMES) and len(lengths) == 1
    return Records(kept.columns, kept=kept) if whole else None


def keep_columns(folder: Path, records: Sequence[VolumeRecord]) -> Records:
    """Return *records* as columns, which are cached in *folder* if there are many and it is writable.

    *folder* must be determined before the records are read, because other processes may append meanwhile.
    """
    made = Records.of(records)
    if len(made) < LEAST:
        return made
    if (kept := kept_columns(folder)) is not None:
        return kept  # another process has written them meanwhile
    keep(folder, made.columns)
    return kept_columns(folder) or made
