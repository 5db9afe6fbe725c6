"""Rows of a task's data: of a table, of a folder with ``dataset.json``, or of both joined."""

from __future__ import annotations

import csv
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from umzoo.data.preparing.dataset_layouts import DataSet, describe_folder
from umzoo.data.preparing.manifest import SUFFIXES, read_lines
from umzoo.data.reading.formats import stem_of
from umzoo.data.reading.modality import label_from_name
from umzoo.errors import DataError, in_one_line, nearest
from umzoo.files import read_json

Row = dict[str, str]
"""Values by column, as text; an empty text is a value that is missing."""


@dataclass(frozen=True)
class Rows:
    """Rows, and where they come from.

    Attributes:
        where: the table or folder, for messages.
        folder: paths of the rows are relative to it.
        rows: all with the same columns.
        classes: label value to name, of ``dataset.json``.
        modality: one per channel, of ``dataset.json``.
        unlisted: cases of the folder that the table does not list.
    """

    where: Path
    folder: Path
    rows: list[Row]
    classes: dict[str, str] = field(default_factory=dict)
    modality: tuple[str, ...] = ()
    unlisted: int = 0

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def require(self, columns: Iterable[str]) -> None:
        """Raise DataError if one of *columns* is not there."""
        for name in columns:
            if name not in self.columns:
                known = ", ".join(self.columns) or "none"
                raise DataError(f"{self.where} has no column '{name}'{nearest(name, self.columns)}: it has {known}")

    def path(self, row: Mapping[str, str], column: str) -> Path | None:
        """The file that *column*, or a pattern such as ``"imagesTr/{case}.nii.gz"``, names for *row*."""
        if "{" in column:
            self.require(name for _, name, _, _ in string.Formatter().parse(column) if name)
            text = column.format_map(row)
        else:
            text = row.get(column, "")
        return self.folder / text if text else None


def read_table(file: Path) -> Rows:
    """Read the CSV with a header line, or JSON lines, in *file*.

    Raises:
        DataError: if it cannot be read, or has no rows.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise DataError(f"{file} is not a table that umzoo reads: give a {' or '.join(SUFFIXES)} file")
    try:
        rows = [{str(key).strip(): _text(value) for key, value in row.items() if key} for _, row in read_lines(file)]
    except (OSError, ValueError, AttributeError, RecursionError, csv.Error) as error:
        raise DataError(f"table {file} cannot be read: {in_one_line(error, 200)}") from None
    if not rows:
        raise DataError(f"table {file} has no rows below its header")
    return Rows(file, file.parent, rows)


def read_folder(folder: Path) -> Rows:
    """Read a data set in nnU-Net's raw or the Decathlon's layout.

    The columns are ``case``, ``image`` (further channels: ``image_1`` ...) and ``label``.

    Raises:
        DataError: if *folder* has no usable ``dataset.json``.
    """
    data, content = describe_folder(folder), _dataset_json(folder)
    if data is None or data.kind != "nnunet":
        raise DataError(f"{folder / 'dataset.json'} names no channels: it needs 'channel_names' or 'modality'")
    listed = content.get("training")
    decathlon = isinstance(listed, list)
    rows = [_decathlon(entry, folder) for entry in listed or ()] if decathlon else _nnunet(folder, content, data)
    if not rows:
        raise DataError(f"{folder} has no training cases: it needs imagesTr with CASE_0000 files, or 'training'")
    found = [label_from_name(name, "dataset.json") for name in data.channels.values()]
    modality = tuple(label.modality if label else "" for label in found)
    return Rows(folder, folder, rows, _label_names(folder, content), modality)


def join(folder: Rows, table: Rows, key: str) -> Rows:
    """Return the rows of *table*, each with the files that *folder* has for the case named in column *key*.

    Raises:
        DataError: if the table has no such column, or names a case that is not in the folder.
    """
    table.require([key])
    cases = {row["case"]: row for row in folder.rows}
    for row in table.rows:
        if row[key] not in cases:
            hint = nearest(row[key], cases)
            raise DataError(f"{table.where} names case '{row[key]}', which {folder.where} does not have{hint}")
    rows = [{**row, **cases[row[key]]} for row in table.rows]
    unlisted = len(cases) - len({row[key] for row in table.rows})
    return Rows(table.where, folder.folder, rows, folder.classes, folder.modality, unlisted)


def _text(value: Any) -> str:
    return "" if value is None else str(int(value) if isinstance(value, bool) else value).strip()


def _dataset_json(folder: Path) -> dict[str, Any]:
    return read_json(folder / "dataset.json", error=DataError)


def _decathlon(entry: Any, folder: Path) -> Row:
    if not isinstance(entry, dict) or "image" not in entry:
        raise DataError(f"{folder / 'dataset.json'} lists a training case without an 'image': {str(entry)[:80]!r}")
    image, label = str(entry["image"]), str(entry.get("label", ""))
    return {"case": stem_of(Path(image)), "image": image, "label": label}


def _nnunet(folder: Path, content: Mapping[str, Any], data: DataSet) -> list[Row]:
    """Rows of ``imagesTr/CASE_0000.nii.gz`` and ``labelsTr/CASE.nii.gz``."""
    ending = str(content.get("file_ending", ".nii.gz"))
    rows = []
    for first in sorted((folder / "imagesTr").glob(f"*_0000{ending}")):
        case = first.name.removesuffix(f"_0000{ending}")
        row = {"case": case, "label": f"labelsTr/{case}{ending}"}
        for channel in range(len(data.channels)):
            row[f"image_{channel}" if channel else "image"] = f"imagesTr/{case}_{channel:04d}{ending}"
        rows.append(row)
    return rows


def _label_names(folder: Path, content: Mapping[str, Any]) -> dict[str, str]:
    """Label value to name, of either ``{"0": "background"}`` or ``{"background": 0}``."""
    labels = content.get("labels")
    if not isinstance(labels, dict):
        return {}
    if any(isinstance(value, list) for value in labels.values()):
        raise DataError(f"{folder / 'dataset.json'} has labels made of regions, which umzoo does not train on yet")
    named = {str(k): str(v) for k, v in labels.items()}
    if not all(value.isdigit() for value in named):
        named = {value: name for name, value in named.items()}
    return dict(sorted(named.items(), key=lambda item: int(item[0])))
