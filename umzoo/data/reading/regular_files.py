"""Checks of untrusted files before they are opened: whether they are regular files, and valid JSON."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

from umzoo import files
from umzoo.errors import DataError, in_one_line

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def oddity(path: Path) -> str:
    """The reason why *path* is not a readable file, with the remedy; empty if it is one. Never opens it."""
    try:
        kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError as error:
        return _trouble(path, error)
    except ValueError:
        return "a name that no file can have: correct it"
    if kind:
        return f"{kind}, not a file"
    return "" if os.access(path, os.R_OK) else "permission denied: make it readable"


def _trouble(path: Path, error: OSError) -> str:
    """The reason why ``stat`` of *path* failed, with the remedy."""
    if error.errno == errno.ELOOP:
        return "a link that points to itself: remove it"
    if error.errno == errno.ENAMETOOLONG:
        return "a name that no file can have: correct it"
    if error.errno == errno.ENOENT and path.is_symlink():
        return "a broken link: fetch its target, or remove the link"
    if error.errno == errno.ENOENT:
        return "no such file"
    return f"{in_one_line(error.strerror or error)}: make it readable"


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the JSON file *path*, with or without a byte order mark; empty if there is no such file.

    Raises:
        DataError: if it is not a regular file, is too large, or has no JSON object.
    """
    if not os.path.lexists(path):
        return {}
    problem = oddity(path)
    if problem:
        raise DataError(f"{path} cannot be read: {problem}")
    return files.read_json(path, error=DataError)
