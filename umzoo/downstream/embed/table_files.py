"""The files of vector tables: CSV, Parquet and NumPy's, a row for each vector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.embed.vector_cache import save_arrays
from umzoo.errors import DataError, in_one_line

SUFFIXES = (".parquet", ".csv", ".npz")
COLUMNS = ("scan", "subject", "region", "modality", "source")
"""Columns before the features ``f0``, ``f1``, ...; tables of earlier versions lack the last two."""


@dataclass(frozen=True)
class VectorTable:
    """A table of :func:`embed_scans`: a text for each row, and *features* float32 ``(n, d)``.

    *sources* are data sets; *regions* are as in :class:`umzoo.downstream.embed.vectors.Embedding`.
    """

    scans: list[str]
    subjects: list[str]
    regions: list[str]
    modalities: list[str]
    sources: list[str]
    features: NDArray[np.float32]


def read_table(file: Path) -> VectorTable:
    """Return the table of :func:`embed_scans` in *file*.

    Raises:
        DataError: if it is no such table, or a number is missing or not finite.
    """
    try:
        texts, features = _read_npz(file) if file.suffix == ".npz" else _read_columns(file)
    except KeyError as error:
        raise DataError(f"{file} is no table of 'umzoo embed': it has no column {error}") from None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file} is no table of 'umzoo embed': {in_one_line(error, 120)}") from None
    if features.ndim != 2 or not features.shape[1] or not np.isfinite(features).all():
        raise DataError(f"{file} is no table of 'umzoo embed', or damaged: a row needs numbers f0, f1, ...")
    scans, subjects, regions, modalities, sources = (texts.get(name, [""] * len(features)) for name in COLUMNS)
    return VectorTable(scans, subjects, regions, modalities, sources, features)


def _read_npz(file: Path) -> tuple[dict[str, list[str]], NDArray[np.float32]]:
    with np.load(file) as kept:
        texts = {name: kept[name].tolist() for name in COLUMNS if name in (*COLUMNS[:3], *kept.files)}
        return texts, kept["features"].astype(np.float32)


def _read_columns(file: Path) -> tuple[dict[str, list[str]], NDArray[np.float32]]:
    import pandas

    if file.suffix == ".csv":
        table = pandas.read_csv(file, dtype=dict.fromkeys(COLUMNS, str), keep_default_na=False)
    else:
        table = pandas.read_parquet(file)
    numbers = [name for name in table.columns if re.fullmatch(r"f\d+", name)]
    texts = {name: table[name].tolist() for name in COLUMNS if name in (*COLUMNS[:3], *table.columns)}
    return texts, table[numbers].to_numpy(np.float32)


def write_table(suffix: str, file: Path, columns: Mapping[str, list[str]], vectors: NDArray[np.float32]) -> None:
    """Write *columns* of text and *vectors* ``(n, d)`` to *file*, in the form that *suffix* names."""
    if suffix == ".npz":
        save_arrays(file, {"features": vectors, **{name: np.array(texts) for name, texts in columns.items()}})
        return
    import pandas

    table = pandas.DataFrame(columns)
    features = pandas.DataFrame(vectors, columns=[f"f{number}" for number in range(vectors.shape[1])])
    table = pandas.concat([table, features], axis=1)
    if suffix == ".csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file, index=False)
