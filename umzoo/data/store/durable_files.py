"""Files of a store: replaced atomically or appended line by line, with errors that say what to do."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from umzoo.errors import DataError
from umzoo.files import written_whole

LOCAL = "local"
"""Folder in a store for private files: the key of the subjects' hash, and reports with file names."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(DataError):
    """The store cannot be written; preparation stops, because all other scans would fail too."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert errors in writing *path* to a :class:`StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            advice = "free some space and run the same command again to continue; volumes in the store are kept"
            raise StoreError(f"no space left to write {path} ({_free(path)}): {advice}") from None
        raise StoreError(
            f"cannot write {path} ({error.strerror or error}): fix this, and run the same command again"
        ) from None


def _free(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free / 1e6:.0f} MB free; a quota or file size limit may apply"
    except OSError:
        return "its folder is missing"


def write_text(path: Path, text: str) -> None:
    """Replace *path* by *text* atomically.

    Raises:
        StoreError: if the disk is full, or the file cannot be written.
    """
    replace_file(path, text.encode("utf-8", "backslashreplace"))


def replace_file(target: Path, content: bytes) -> None:
    """Replace *target* by *content* atomically, flushed to disk.

    Raises:
        StoreError: if the disk is full, or the file cannot be written.
    """
    with writing(target), written_whole(target) as temporary:
        temporary.write_bytes(content)


class JsonLines:
    """A file of JSON lines that is only appended to; a torn last line is cut off when it is opened.

    Raises:
        StoreError: if the disk is full, or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _cut_torn_line(path)
            self._file = path.open("ab", buffering=0)

    def append(self, content: Any) -> None:
        """Append one line, and return once it is on disk; if that fails, the file is unchanged."""
        line = (json.dumps(content, separators=(",", ":")) + "\n").encode()
        end = os.fstat(self._file.fileno()).st_size
        with writing(self.path):
            try:
                while line:
                    line = line[self._file.write(line) :]
                os.fsync(self._file.fileno())
            except OSError:
                os.ftruncate(self._file.fileno(), end)
                raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        os.fsync(file.fileno())
