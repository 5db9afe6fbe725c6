"""The records of a store as columns: one NumPy array per field, memory-mapped if they are in files.

100,000 records are opened without being parsed, and all processes of a machine share the pages they read.
:mod:`umzoo.data.store.column_files` caches them next to the index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from umzoo.data.store.column_files import Kept
from umzoo.data.store.record import VolumeRecord
from umzoo.errors import DataError

TEXTS = ("id", "modality", "modality_from", "contrast", "source", "subject", "sha256")
NUMBERS = {
    "shape": np.int64,
    "spacing": np.float64,
    "slope": np.float64,
    "intercept": np.float64,
    "window": np.float64,
    "mean": np.float64,
    "std": np.float64,
    "foreground": np.float64,
}
POINTS, ENDS = "points", "ends"
"""Points of all volumes ``(P, 3)``, and the end of each volume's points among them ``(N,)``."""
NAMES = (*TEXTS, *NUMBERS, POINTS, ENDS)


class Records(Sequence[VolumeRecord]):
    """Records of volumes as columns; each record is created on access.

    Args:
        columns: arrays by name of the field; texts are bytes in UTF-8.
        rows: the rows to use, in this order; None is all.
        kept: the mapped files of the columns, if there are any; other processes map them too.
    """

    def __init__(
        self,
        columns: Mapping[str, NDArray[Any]],
        rows: NDArray[np.int64] | None = None,
        kept: Kept | None = None,
    ) -> None:
        self._columns, self._rows, self._kept = columns, rows, kept

    def __len__(self) -> int:
        return len(self._columns["id"] if self._rows is None else self._rows)

    @overload
    def __getitem__(self, index: int) -> VolumeRecord: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[VolumeRecord]: ...

    def __getitem__(self, index: int | slice) -> VolumeRecord | Sequence[VolumeRecord]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        row = range(len(self))[index] if self._rows is None else self._rows[index]
        texts = {name: self._columns[name][row].decode() for name in TEXTS}
        numbers = {name: _plain(self._columns[name][row]) for name in NUMBERS}
        points = tuple(map(tuple, self._points(int(row)).tolist()))
        return VolumeRecord.model_construct(**texts, **numbers, points=points)

    def __iter__(self) -> Iterator[VolumeRecord]:
        return (self[index] for index in range(len(self)))

    def column(self, name: str) -> NDArray[Any]:
        """Return the field *name* of each record ``(N, ...)``; texts are bytes."""
        column = self._columns[name]
        return column if self._rows is None else column[self._rows]

    def texts(self, name: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the distinct texts of the field *name*, sorted, and the index of each record's text among them."""
        found, places = np.unique(self.column(name), return_inverse=True)
        return tuple(text.decode() for text in found.tolist()), places.reshape(-1)

    def values(self, name: str) -> list[str]:
        """Return the text of the field *name* of each record."""
        return [text.decode() for text in self.column(name).tolist()]

    def groups(self, *names: str) -> dict[tuple[str, ...], NDArray[np.int64]]:
        """Return the records ``(n,)`` of each combination of the texts of the fields *names*, sorted."""
        texts, places = zip(*map(self.texts, names), strict=True)
        found, group = np.unique(np.stack(places), axis=1, return_inverse=True)
        order = np.argsort(group.reshape(-1), kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(group.reshape(-1)))[:-1])
        keys = (tuple(known[place] for known, place in zip(texts, column, strict=True)) for column in found.T)
        return dict(zip(keys, parts, strict=True)) if len(self) else {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each record."""
        return tuple(self.values("id"))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def points(self, index: int) -> NDArray[np.int32]:
        """Return the foreground points ``(n, 3)`` of record *index*."""
        return self._points(int(index if self._rows is None else self._rows[index]))

    def _points(self, row: int) -> NDArray[np.int32]:
        ends = self._columns[ENDS]
        points: NDArray[np.int32] = self._columns[POINTS][ends[row - 1] if row else 0 : ends[row]]
        return points

    def select(self, ids: Sequence[str]) -> tuple[Records, list[str]]:
        """Return the records of *ids*, in their order, and the missing ids."""
        known = self.column("id")
        order = np.argsort(known)
        wanted = np.array([name.encode() for name in ids], dtype=bytes)
        places = np.searchsorted(known, wanted, sorter=order)
        rows = order[places.clip(max=len(known) - 1)] if len(known) else np.zeros(len(wanted), np.int64)
        fits = known[rows] == wanted if len(known) else np.zeros(len(wanted), bool)
        missing = [name for name, fit in zip(ids, fits, strict=True) if not fit]
        return Records(self._columns, rows if self._rows is None else self._rows[rows], self._kept), missing

    def __getstate__(self) -> dict[str, Any]:
        columns = None if self._kept else self._columns
        return {"columns": columns, "rows": self._rows, "folder": self._kept and self._kept.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        folder = state["folder"]
        self._rows, self._kept = state["rows"], folder and _mapped(folder)
        self._columns = self._kept.columns if self._kept else state["columns"]

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """The whole columns by name of the field, including rows that are not used."""
        return self._columns

    @classmethod
    def of(cls, records: Sequence[VolumeRecord]) -> Records:
        """Return *records* as columns, in their order."""
        return records if isinstance(records, cls) else cls(_columns(records))


def joined(parts: Sequence[Records]) -> Records:
    """Return the records of all *parts*, sorted by id; the last one if several have the same id."""
    if not parts:
        return Records.of([])
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in (*TEXTS, *NUMBERS, POINTS)}
    counts = np.concatenate([np.diff(part.columns[ENDS], prepend=0) for part in parts])
    _, last = np.unique(columns["id"][::-1], return_index=True)
    rows = len(counts) - 1 - last
    if not np.array_equal(rows, np.arange(len(counts))):
        starts = np.cumsum(counts) - counts
        chosen = [np.arange(starts[row], starts[row] + counts[row]) for row in rows]
        columns = {name: column if name == POINTS else column[rows] for name, column in columns.items()}
        columns[POINTS], counts = columns[POINTS][np.concatenate(chosen)], counts[rows]
    return Records({**columns, ENDS: np.cumsum(counts, dtype=np.int64)})


def _mapped(folder: Path) -> Kept:
    """The columns in *folder*, which another process has mapped.

    Raises:
        DataError: if they were deleted, which only happens on systems that cannot lock folders.
    """
    try:
        return Kept(folder)
    except OSError as error:
        raise DataError(f"{folder} was deleted, because the store changed ({error}): start again") from None


def _columns(records: Sequence[VolumeRecord]) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {
        name: np.array([getattr(record, name).encode() for record in records] or [b""], dtype=bytes)[: len(records)]
        for name in TEXTS
    }
    columns |= {name: np.array([getattr(it, name) for it in records], dtype) for name, dtype in NUMBERS.items()}
    counts = [len(record.points) for record in records]
    points = [np.array(record.points, np.int32).reshape(-1, 3) for record in records]
    columns[POINTS] = np.concatenate(points) if points else np.empty((0, 3), np.int32)
    columns[ENDS] = np.cumsum(counts, dtype=np.int64) if counts else np.empty(0, np.int64)
    return columns


def _plain(value: Any) -> Any:
    plain = value.tolist()
    return tuple(plain) if isinstance(plain, list) else plain
