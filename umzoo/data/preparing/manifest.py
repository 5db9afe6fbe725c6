"""Manifests: a CSV with a header line, or JSON lines, that lists scans.

Columns: ``file`` (required; a file or a DICOM folder, relative to the manifest), ``modality``, ``contrast``,
``subject``, ``source`` and ``role`` (rows whose role is ``label`` are left out). Other columns can be used as targets.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umzoo.data.reading.modality import Label, label_from_name, plain_contrast
from umzoo.errors import DataError, in_one_line
from umzoo.files import json_table

SUFFIXES = (".csv", ".jsonl")
COLUMNS = ("file", "modality", "contrast", "subject", "source", "role")
"""Columns with a predefined meaning."""


@dataclass(frozen=True)
class Row:
    """One line of a manifest; *others* are the columns that only ``--target`` uses."""

    path: Path
    label: Label | None
    subject: str
    source: str
    is_label: bool
    others: tuple[tuple[str, str], ...] = ()


def read_manifest(manifest: Path) -> list[Row]:
    """Read *manifest*.

    Raises:
        DataError: if it cannot be read, or a line has no ``file``.
    """
    rows = []
    try:
        for number, row in read_lines(manifest, any_text=True):
            if not isinstance(row, dict) or not row.get("file"):
                raise DataError(f"{manifest} line {number} has no 'file', which is required{_delimiter(row)}")
            rows.append(_row(manifest, {key: str(value or "").strip() for key, value in row.items() if key}))
    except UnicodeDecodeError:
        raise DataError(f"manifest {manifest} cannot be read: it is not UTF-8, save it as UTF-8") from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"manifest {manifest} cannot be read: {in_one_line(error, 120)}") from None
    if not rows:
        raise DataError(f"manifest {manifest} is empty: it needs a line with 'file' for each scan")
    return rows


def read_lines(manifest: Path, any_text: bool = False) -> Iterator[tuple[int, Any]]:
    """Yield the number and the content of each row of a table, ``.csv`` with a header or ``.jsonl``.

    With *any_text*, JSON may contain characters that are not valid in text.
    """
    with manifest.open(encoding="utf-8-sig", newline="") as file:
        if manifest.suffix.lower() == ".csv":
            yield from enumerate(csv.DictReader(file), 2)
        else:
            lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
            yield from ((number, json_table(line, f"line {number}", any_text)) for number, line in lines)


def _delimiter(row: Any) -> str:
    """A remedy if the columns of the table are not separated by commas; empty if they are."""
    header = next(iter(row), None) if isinstance(row, dict) else None
    found = next((name for sign, name in ((";", "semicolons"), ("\t", "tabs")) if sign in str(header or "")), "")
    return f"; its columns are separated by {found}, expected commas" if found else ""


def _row(manifest: Path, row: dict[str, str]) -> Row:
    role, modality = row.get("role", "").lower(), row.get("modality", "")
    label = label_from_name(modality, "manifest", row.get("contrast", "")) if modality else None
    if modality and label is None and modality.lower() not in ("label", "unknown"):
        label = Label(plain_contrast(modality)[:8], plain_contrast(row.get("contrast", "")), "manifest")
    is_label = role in ("label", "labels", "segmentation", "mask") or modality.lower() == "label"
    others = tuple((name, text) for name, text in row.items() if name not in COLUMNS)
    return Row(manifest.parent / row["file"], label, row.get("subject", ""), row.get("source", ""), is_label, others)
