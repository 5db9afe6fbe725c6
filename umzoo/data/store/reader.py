"""The training store: one int16 blosc2 array a volume, and an index of one JSON line a volume.

Layout: ``store.json`` (format, input spec), ``index.jsonl`` (:class:`~umzoo.data.store.record.VolumeRecord` lines),
``volumes/<id>.b2nd``, and what is made from the index to open it faster (:mod:`umzoo.data.store.record_columns`).
Array axes are (D, H, W) = (z, y, x) with indices increasing towards S, P, L. A line is appended only once its
array is complete, so a store can be read while it is written; a torn last line is ignored.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property, lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from umzoo.config import Config
from umzoo.data.store.index import read_records
from umzoo.data.store.record import Triple
from umzoo.data.store.record_columns import Records
from umzoo.errors import DataError, in_one_line
from umzoo.files import read_json
from umzoo.spec import InputSpec

FORMAT = 1


class StoreInfo(Config):
    """``store.json``."""

    format: int = Field(FORMAT, description="format number")
    input: InputSpec = Field(description="orientation, spacing and intensity rules of all volumes")
    umzoo: str = Field("", description="version that began the store")


class Store:
    """A store opened for reading.

    Args:
        path: the store's folder.
        only: ids of the volumes to see; None is all. A run that goes on sees the volumes it began with.

    Raises:
        DataError: if *path* is not a store, of a newer format, or lacks one of *only*.
    """

    def __init__(self, path: Path | str, only: Sequence[str] | None = None) -> None:
        self.path = Path(path)
        self.info = _read_info(self.path)
        self.only = only
        self.records = select_records(read_records(self.path / "index.jsonl"), only, self.path)
        self._handle = lru_cache(maxsize=256)(self._open)

    @cached_property
    def modalities(self) -> tuple[str, ...]:
        """Known modalities, sorted; the field ``modality`` indexes them."""
        return tuple(filter(None, self.records.texts("modality")[0]))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Data sets, sorted; the field ``source`` indexes them."""
        return self.records.texts("source")[0]

    def __len__(self) -> int:
        return len(self.records)

    def read(self, index: int, start: Triple, stop: Triple) -> NDArray[np.int16]:
        """Return voxels ``start:stop`` (D, H, W) of volume *index*; only the blocks they touch are read.

        Raises:
            DataError: if the array is missing, damaged or of another shape than the index says.
        """
        record = self.records[index]
        try:
            region = self._handle(index)[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
        except (RuntimeError, OSError, ValueError) as error:
            raise DataError(
                f"volume {record.id} cannot be read: {in_one_line(error)}; prepare its source again, which repairs it"
            ) from error
        return np.asarray(region)

    def stored_bytes(self, members: NDArray[np.int64]) -> int:
        """Return the size of the files of the volumes *members*, by position."""
        names = self.records.column("id")[members].tolist()
        return sum(map(self._sizes.get, (name.decode() for name in names), repeat(0)))

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Bytes of each array's file, by id."""
        folder = self.path / "volumes"
        with os.scandir(folder) if folder.is_dir() else nullcontext(()) as files:
            return {file.name.removesuffix(".b2nd"): file.stat().st_size for file in files}

    def _open(self, index: int) -> Any:
        record = self.records[index]
        array = blosc2.open(str(self.path / "volumes" / f"{record.id}.b2nd"), mode="r")
        if tuple(array.shape) != record.shape or array.dtype != np.int16:
            raise ValueError(f"expected int16 {record.shape}, got {array.dtype} {tuple(array.shape)}")
        return array

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_handle"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._handle = lru_cache(maxsize=256)(self._open)


def select_records(records: Records, only: Sequence[str] | None, path: Path) -> Records:
    """Return those of *records* that *only* names, in its order; all if it is None.

    Raises:
        DataError: if one is missing; *path* is named.
    """
    if only is None:
        return records
    found, missing = records.select(only)
    if missing:
        raise DataError(f"{path} lacks {len(missing)} of the {len(only)} expected volumes, such as {missing[0]}")
    return found


def _read_info(path: Path) -> StoreInfo:
    file = path / "store.json"
    if not file.is_file():
        raise DataError(f"{path} is not a store (no store.json): make one with 'umzoo prepare SOURCE --out {path}'")
    content = read_json(file, error=DataError, remedy="preparing into another folder makes it anew")
    if not isinstance(content.get("format", FORMAT), int):
        raise DataError(f"{file} is damaged: its format is no number; preparing into another folder makes it anew")
    if content.get("format", FORMAT) > FORMAT:
        raise DataError(f"{path} has store format {content['format']}, this umzoo reads up to {FORMAT}: update umzoo")
    return StoreInfo.parse(content, str(file))
