"""Column files of an index, for all processes of a machine.

``index.jsonl`` stays the source of truth: columns are in a folder named by its size and checksum
(``columns-SIZE-CRC``). They are extended when lines were appended, rebuilt after other changes, and can be deleted at
any time. A process that maps a folder holds a lock on it, so that its child processes can map it too; columns of an
older index are deleted once no process maps them.
"""

from __future__ import annotations

import logging
import os
import shutil
import weakref
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.files import written_whole

log = logging.getLogger(__name__)

CHUNK = 1 << 24


class Kept:
    """Columns mapped from the files in *folder*, which are not deleted while this object lives.

    Raises:
        OSError: if they cannot be read, or are being deleted.
        ValueError: if one is corrupted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        descriptor = _locked(folder, alone=False)
        if descriptor is not None:
            weakref.finalize(self, os.close, descriptor)
        files = sorted(folder.glob("*.npy"))
        self.columns: Mapping[str, NDArray[Any]] = {
            file.stem: np.load(file, mmap_mode="r", allow_pickle=False) for file in files
        }


def columns_folder(index: Path) -> Path:
    """Return the folder for the columns of the current content of the file *index*; it may not exist."""
    return columns_folders(index)[0]


def columns_folders(index: Path) -> tuple[Path, Path | None]:
    """Return :func:`columns_folder`, and the existing folder that covers most of the first lines, if there is one."""
    known = {covered_bytes(folder): folder for folder in index.parent.glob("columns-*-????????")}
    checksum, size, begun = 0, 0, None
    with index.open("rb") as stream:
        while chunk := stream.read(min([CHUNK, *(end - size for end in known if end > size)])):
            checksum, size = zlib.crc32(chunk, checksum), size + len(chunk)
            folder = _name(index.parent, size, checksum)
            begun = folder if folder == known.get(size) and chunk.endswith(b"\n") else begun
    return _name(index.parent, size, checksum), begun


def covered_bytes(folder: Path) -> int:
    """Return the size of the index whose columns are in *folder*, from its name; 0 if unknown."""
    size = folder.name.split("-")[1]
    return int(size) if size.isdecimal() else 0


def _name(parent: Path, size: int, checksum: int) -> Path:
    return parent / f"columns-{size}-{checksum:08x}"


def keep(folder: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write *columns* into *folder*, if possible, and delete other column folders that no process maps."""
    try:
        with written_whole(folder) as temporary:
            temporary.mkdir()
            for name, column in columns.items():
                np.save(temporary / f"{name}.npy", column)
            for old in folder.parent.glob("columns-*"):
                _delete_unused(old)
    except OSError as error:
        log.info("cannot cache the columns of the index in %s: %s", folder, error)


def _delete_unused(folder: Path) -> None:
    try:
        descriptor = _locked(folder, alone=True)
    except OSError:
        return  # another process maps it
    shutil.rmtree(folder, ignore_errors=True)
    if descriptor is not None:
        os.close(descriptor)


def _locked(folder: Path, alone: bool) -> int | None:
    """A descriptor of *folder* that holds a lock on it, shared unless *alone*; None if locks are not supported."""
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
