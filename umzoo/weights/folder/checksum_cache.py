"""Cache of verified sha256 checksums: an unchanged file is not hashed again.

The cache is kept in this process, and in a file in the user's cache folder for later processes. A file is unchanged if
path, device, inode, size and both times are the same. A user cannot set back the change time of an inode.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path

from umzoo.files import replace_text, user_cache

log = logging.getLogger(__name__)

NOTE = "verified.jsonl"
MOST = 4096
"""Maximum number of files in the cache; a full cache is emptied."""
SETTLED = 2_000_000_000
"""Minimum age of a cached file in nanoseconds; two changes within one clock tick would have the same time."""

_known: dict[Path, set[str]] = {}
_guard = threading.Lock()


def is_verified(file: Path, status: os.stat_result, sha256: str) -> bool:
    """Whether *file* with *status* is known to have the checksum *sha256* and finite values."""
    return _line(file, status, sha256) in _lines()


def remember(file: Path, before: os.stat_result, after: os.stat_result, sha256: str) -> None:
    """Record that *file* has the checksum *sha256*; *before* and *after* are its status around the computation."""
    line = _line(file, after, sha256)
    changed = max(after.st_mtime_ns, after.st_ctime_ns)
    if _line(file, before, sha256) != line or time.time_ns() - changed < SETTLED:
        return
    known = _lines()
    with _guard:
        anew = len(known) >= MOST
        if anew:
            known.clear()
        known.add(line)
        _write(line, anew)


def _line(file: Path, status: os.stat_result, sha256: str) -> str:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return json.dumps([str(file.resolve()), status.st_dev, status.st_ino, status.st_size, *times, sha256])


def _lines() -> set[str]:
    """The files verified by this process and earlier ones."""
    note = user_cache() / NOTE
    with _guard:
        if note not in _known:
            try:
                _known[note] = set(note.read_text(encoding="utf-8").splitlines())
            except (OSError, UnicodeDecodeError):
                _known[note] = set()
        return _known[note]


def _write(line: str, anew: bool) -> None:
    note = user_cache() / NOTE
    try:
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if anew:
            replace_text(note, f"{line}\n")
        else:
            with note.open("a", encoding="utf-8") as stream:
                stream.write(f"{line}\n")
    except OSError as error:
        log.debug("%s cannot be written: %s", note, error)
