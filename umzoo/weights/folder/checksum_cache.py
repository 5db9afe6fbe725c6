"""Which files were found to have which sha256: a file that has not changed since is not summed again.

What is known is kept in this process, and in a note in the user's cache for later ones. A file is the same if path,
device, inode, size and both times are; the time at which an inode changed cannot be set back by who may write to it.
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
"""Files that the note tells of; it begins anew when there are more."""
SETTLED = 2_000_000_000
"""Nanoseconds that a file must be older than: one that changes twice within the clock's step would look the same."""

_known: dict[Path, set[str]] = {}
_guard = threading.Lock()


def is_verified(file: Path, status: os.stat_result, sha256: str) -> bool:
    """Whether *file*, as *status* describes it, is known to have the sum *sha256* and to hold finite values."""
    return _line(file, status, sha256) in _lines()


def remember(file: Path, before: os.stat_result, after: os.stat_result, sha256: str) -> None:
    """Remember that *file* has the sum *sha256*, which was taken between *before* and *after*."""
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
    """What is known, by this process and by those before it."""
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
