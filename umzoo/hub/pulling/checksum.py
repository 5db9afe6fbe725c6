"""Verification of files in the Hub's cache; the client only checks their length."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from umzoo.files import sha256


def is_whole(file: Path, recorded: str | None = None) -> bool:
    """Whether *file* exists and has the sha256 *recorded*.

    Without it, small files are compared with their name in the cache: the Hub names a file by its Git
    object, and a Git LFS file by its sha256. If the cache has no such names (no symbolic links), they pass.
    """
    if not file.is_file():
        return False
    if recorded is not None:
        return sha256(file) == recorded
    name = file.resolve().name
    if re.fullmatch(r"[0-9a-f]{40}", name):
        content = file.read_bytes()
        return name in (git_oid(content), hashlib.sha1(content).hexdigest())
    return sha256(file) == name if re.fullmatch(r"[0-9a-f]{64}", name) else True


def git_oid(content: bytes) -> str:
    """Return Git's object name of a file with *content*."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
