"""The index of a store: read line by line, or from columns that are kept beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from umzoo.data.store.column_files import Kept, columns_folder, keep
from umzoo.data.store.record import VolumeRecord
from umzoo.data.store.record_columns import NAMES, POINTS, Records
from umzoo.errors import DataError, in_one_line

LEAST = 1000
"""Records from which columns are kept in files; fewer are parsed as quickly."""


def read_records(file: Path) -> Records:
    """Return the records of *file* sorted by id, one per id; a torn last line is left out.

    Raises:
        DataError: if a line is damaged.
    """
    if not file.is_file():
        return Records.of([])
    folder = columns_folder(file)
    if (kept := kept_columns(folder)) is not None:
        return kept
    records, problems = read_index(file)
    if problems:
        raise DataError(
            f"{problems[0]}: 'umzoo store compact {file.parent}' leaves it out, preparing again makes it anew"
        )
    unchanged = columns_folder(file) == folder
    return keep_columns(folder, records) if unchanged else Records.of(records)


def read_index(file: Path) -> tuple[list[VolumeRecord], list[str]]:
    """Records of *file* sorted by id, one per id, and what is wrong with other lines; a torn last one is no fault."""
    lines = file.read_bytes().decode("utf-8", "replace").split("\n") if file.is_file() else []
    records: dict[str, VolumeRecord] = {}
    problems: list[str] = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            record = VolumeRecord.parse(json.loads(line))
        except RecursionError:
            problems.append(f"{file} line {number} is damaged: it is nested too deeply")
        except (ValueError, TypeError) as error:
            problems.append(f"{file} line {number} is damaged: {in_one_line(error, 120)}")
        else:
            records[record.id] = record
    return [records[key] for key in sorted(records)], problems


def kept_columns(folder: Path) -> Records | None:
    """Return the columns in *folder*; None if there are none, or damaged ones."""
    try:
        kept = Kept(folder)
    except (OSError, ValueError, EOFError):
        return None
    lengths = {len(column) for name, column in kept.columns.items() if name != POINTS}
    whole = kept.columns.keys() == set(NAMES) and len(lengths) == 1
    return Records(kept.columns, kept=kept) if whole else None


def keep_columns(folder: Path, records: Sequence[VolumeRecord]) -> Records:
    """Return *records* as columns; many are kept in *folder* where that works.

    *folder* is that of the content the records were read from: ask for it before reading, as others may append.
    """
    made = Records.of(records)
    if len(made) < LEAST:
        return made
    if (kept := kept_columns(folder)) is not None:
        return kept  # another process was as quick
    keep(folder, made.columns)
    return kept_columns(folder) or made
