"""The page of a table of ``umzoo embed``: its vectors on a map, colored by what is known of the scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from umzoo.data.reading.formats import SUFFIXES, stem_of, suffix_of
from umzoo.downstream.browse.coloring import Coloring
from umzoo.downstream.browse.page import Page
from umzoo.downstream.browse.vector_maps import add_maps
from umzoo.downstream.embed.table_files import VectorTable, read_table
from umzoo.downstream.tasks.rows import Row, Rows
from umzoo.downstream.tasks.rows import read_table as read_rows
from umzoo.errors import ConfigError, DataError
from umzoo.scans.listing import CHANNEL

KEYS = ("case", "scan", "file", "image", "id")
"""Columns by which a table of targets names scans; the first that it has counts."""


def table_page(file: Path, method: str, table: Path | None = None, targets: Sequence[str] = ()) -> Page:
    """Return the page of the vectors in *file*.

    Args:
        file: .csv, .parquet or .npz.
        method: of :func:`umzoo.downstream.browse.projection.project`.
        table: CSV with a header, or JSON lines, with the targets of the scans; it names them in one of :data:`KEYS`.
        targets: columns of it to color by.

    Raises:
        ConfigError: if only one of *table* and *targets* is given, or the method is unknown.
        DataError: if a table cannot be read, has no such column, or names none of the scans.
    """
    if (table is None) != (not targets):
        raise ConfigError("--table FILE and --target COLUMN go together: give both, or neither")
    vectors = read_table(file)
    targeted, persons = ([], vectors.subjects) if table is None else _targets(vectors, read_rows(table), targets)
    subjects = np.array([person or scan for person, scan in zip(persons, vectors.scans, strict=True)])
    known = {"modality": vectors.modalities, "data set": vectors.sources, "region": vectors.regions}
    page = Page(f"Vectors {file.name}")
    page.facts(
        {
            "vectors": len(vectors.scans),
            "scans": len({*vectors.scans}),
            "persons, as far as known": len({*subjects.tolist()}),
            "numbers in a vector": vectors.features.shape[1],
        }
    )
    names = [", ".join(filter(None, it)) for it in zip(vectors.scans, vectors.regions, strict=True)]
    colorings = [*targeted, *(Coloring.of(name, texts) for name, texts in known.items())]
    add_maps(page, {"Map": vectors.features}, names, subjects, colorings, method)
    return page


def _targets(vectors: VectorTable, table: Rows, targets: Sequence[str]) -> tuple[list[Coloring], list[str]]:
    """The columns *targets* of *table* for each vector, and the persons, whom its column "subject" may tell better."""
    table.require(targets)
    key = next((name for name in KEYS if name in table.columns), "")
    if not key:
        raise DataError(f"{table.where} does not name its scans: it needs a column {' or '.join(KEYS)}")
    by_case: dict[str, Row] = {_stem(row[key]): row for row in table.rows}
    stems = [_stem(scan) for scan in vectors.scans]
    rows = [by_case.get(stem) or by_case.get(CHANNEL.sub("", stem), {}) for stem in stems]
    if not any(rows):
        first = table.rows[0][key]
        raise DataError(f"{table.where} names other scans: '{first}', ..., and the vectors '{vectors.scans[0]}', ...")
    persons = [row.get("subject") or person for row, person in zip(rows, vectors.subjects, strict=True)]
    return [Coloring.of(name, [row.get(name, "") for row in rows]) for name in targets], persons


def _stem(name: str) -> str:
    """*name* of a scan without folders and suffix."""
    return stem_of(name) if suffix_of(name) in SUFFIXES else Path(name).name
