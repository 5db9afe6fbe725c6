"""The training store: one int16 blosc2 array per volume, and an index with one JSON line per volume.

Layout: ``store.json`` (format, input spec), ``index.jsonl`` (:class:`~umzoo.data.store.record.VolumeRecord` lines),
``volumes/<id[:2]>/<id>.b2nd``, copies at half the resolution (:mod:`umzoo.data.store.halves`), and a cache of
the index that opens faster (:mod:`umzoo.data.store.record_columns`).
Array axes are (D, H, W) = (z, y, x) with indices increasing toward S, P, L. A line is appended only once its
array is complete, so a store can be read while it is written; a torn last line is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from umzoo.config import Config
from umzoo.data.store.halves import half_file, half_shape
from umzoo.data.store.index import read_records
from umzoo.data.store.places import array_file, array_files
from umzoo.data.store.record import Triple
from umzoo.data.store.record_columns import Records
from umzoo.data.store.targets import Targets, read_targets
from umzoo.errors import DataError, in_one_line
from umzoo.files import read_json
from umzoo.spec import InputSpec

FORMAT = 1


class StoreInfo(Config):
    """``store.json``."""

    format: int = Field(FORMAT, description="format number")
    input: InputSpec = Field(description="orientation, spacing and intensity rules of all volumes")
    umzoo: str = Field("", description="version that created the store")


class Store:
    """A store opened for reading.

    Args:
        path: the store's folder.
        only: ids of the volumes to use; None is all. A resumed run uses the volumes that it started with.

    Raises:
        DataError: if *path* is not a store, has a newer format, or lacks one of *only*.
    """

    def __init__(self, path: Path | str, only: Sequence[str] | None = None) -> None:
        self.path = Path(path)
        self.info = _read_info(self.path)
        self.only = only
        self.records = select_records(read_records(self.path / "index.jsonl"), only, self.path)
        self._remember()

    @cached_property
    def modalities(self) -> tuple[str, ...]:
        """Known modalities, sorted; the field ``modality`` indexes them."""
        return tuple(filter(None, self.records.texts("modality")[0]))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Data sets, sorted; the field ``source`` indexes them."""
        return self.records.texts("source")[0]

    @cached_property
    def targets(self) -> Targets:
        """Targets of the volumes for supervised pre-training; most stores have none."""
        return read_targets(self.path, self.records)

    def __len__(self) -> int:
        return len(self.records)

    def read(self, index: int, start: Triple, stop: Triple) -> NDArray[np.int16]:
        """Return voxels ``start:stop`` (D, H, W) of volume *index*; only the blocks that contain them are read.

        Raises:
            DataError: if the array is missing or corrupted, or its shape differs from the index.
        """
        return self._read(self._handle, index, start, stop, "prepare its source again to repair it")

    def read_half(self, index: int, start: Triple, stop: Triple) -> NDArray[np.int16] | None:
        """Return voxels ``start:stop`` of the copy of volume *index* at half the resolution; None if there is none.

        Raises:
            DataError: if the copy is corrupted, or its shape does not match the index.
        """
        if not self.has_half(index):
            return None
        return self._read(self._half, index, start, stop, f"run 'umzoo store halve {self.path}' to rebuild it")

    def _read(self, handle: Any, index: int, start: Triple, stop: Triple, remedy: str) -> NDArray[np.int16]:
        try:
            return np.asarray(handle(index)[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))])
        except (RuntimeError, OSError, ValueError) as error:
            raise DataError(
                f"volume {self.records[index].id} cannot be read: {in_one_line(error)}; {remedy}"
            ) from error

    def stored_bytes(self, members: NDArray[np.int64]) -> int:
        """Return the size of the files of the volumes *members*, by position."""
        names = self.records.column("id")[members].tolist()
        return sum(map(self._sizes.get, (name.decode() for name in names), repeat(0)))

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Bytes of each array's file, by id."""
        return {file.stem: file.stat().st_size for file in array_files(self.path)}

    def _open(self, index: int) -> Any:
        record = self.records[index]
        return open_array(array_file(self.path, record.id), record.shape)

    def _open_half(self, index: int) -> Any:
        record = self.records[index]
        return open_array(half_file(self.path, record.id), half_shape(record.shape))

    def _has_half(self, index: int) -> bool:
        return half_file(self.path, self.records[index].id).is_file()

    def _remember(self) -> None:
        """Cache open arrays."""
        self._handle = lru_cache(maxsize=256)(self._open)
        self._half = lru_cache(maxsize=256)(self._open_half)
        self.has_half = lru_cache(maxsize=1 << 16)(self._has_half)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_handle", "_half", "has_half")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._remember()


def open_array(file: Path, shape: Triple, offset: int = 0) -> Any:
    """Open the array that starts at byte *offset* of *file*.

    Raises:
        ValueError: if it is not int16 of the *shape*.
    """
    array = blosc2.open(str(file), mode="r", offset=offset)
    if tuple(array.shape) != shape or array.dtype != np.int16:
        raise ValueError(f"expected int16 {shape}, got {array.dtype} {tuple(array.shape)}")
    return array


def select_records(records: Records, only: Sequence[str] | None, path: Path) -> Records:
    """Return the *records* with the ids *only*, in that order; all if it is None.

    Raises:
        DataError: if one is missing; the error names *path*.
    """
    if only is None:
        return records
    found, missing = records.select(only)
    if missing:
        raise DataError(f"{path}: {len(missing)} of {len(only)} expected volumes are missing, such as {missing[0]}")
    return found


def _read_info(path: Path) -> StoreInfo:
    file = path / "store.json"
    if not file.is_file():
        raise DataError(f"{path} is not a store (no store.json): make one with 'umzoo prepare SOURCE --out {path}'")
    content = read_json(file, error=DataError, remedy="prepare into another folder again")
    if not isinstance(content.get("format", FORMAT), int):
        raise DataError(f"{file} is corrupted: its format is not a number; prepare into another folder again")
    if content.get("format", FORMAT) > FORMAT:
        raise DataError(f"{path} has store format {content['format']}, this umzoo reads up to {FORMAT}: update umzoo")
    return StoreInfo.parse(content, str(file))
