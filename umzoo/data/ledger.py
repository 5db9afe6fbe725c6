"""What was done with which bytes: lets a later run skip work by content, whatever the files are called by then."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from umzoo.data.report import Outcome
from umzoo.data.scan_source import Reading, ScanSource
from umzoo.data.volume import suffix_of
from umzoo.data.writer import LOCAL, JsonLines

RULES_VERSION = 2
"""Raise when the outcome for the same bytes changes, so that they are looked at again."""

_DETACHED = {
    ".mhd": re.compile(rb"^ElementDataFile\s*=\s*(\S+)", re.MULTILINE),
    ".nhdr": re.compile(rb"^data ?file:\s*(\S+)", re.MULTILINE | re.IGNORECASE),
}
_PART = 1 << 22


def key_of(scan: ScanSource, reading: Reading) -> str:
    """Hash of the scan's bytes and of all else that decides its outcome, but not of names or places."""
    total = blake2b(repr((RULES_VERSION, reading, scan.labels, scan.frames)).encode(), digest_size=16)
    files = [*scan.files, *_detached(Path(scan.files[0]))]
    for digest in sorted(_digest(file) for file in files):
        total.update(digest)
    return total.hexdigest()


def _digest(path: str) -> bytes:
    digest = blake2b(digest_size=16)
    with Path(path).open("rb") as file:
        while part := file.read(_PART):
            digest.update(part)
    return digest.digest()


def _detached(header: Path) -> list[str]:
    """The file that holds the voxels of a header-only file."""
    if suffix_of(header) == ".hdr":
        data = [header.with_suffix(".img")]
    elif suffix_of(header) in _DETACHED:
        match = _DETACHED[suffix_of(header)].search(header.read_bytes()[:_PART])
        data = [header.parent / match[1].decode(errors="replace")] if match else []
    else:
        data = []
    return [str(file) for file in data if file.is_file()]


class Ledger:
    """The memory of a store, kept in its local folder."""

    def __init__(self, store: Path) -> None:
        self._lines = JsonLines(_file(store))

    def append(self, key: str, outcomes: Sequence[Outcome]) -> None:
        """Remember the *outcomes* of the scan with *key*."""
        self._lines.append({"key": key, "outcomes": [outcome.line() for outcome in outcomes]})

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def remembered(store: Path) -> dict[str, list[Outcome]]:
    """Outcomes by key, but for those whose volumes are no longer in the store."""
    memory: dict[str, list[Outcome]] = {}
    present = {file.stem for file in (store / "volumes").glob("*.b2nd")}
    for line in _read_lines(_file(store)):
        outcomes = [_outcome(item) for item in line["outcomes"]]
        if all(outcome.id in present for outcome in outcomes if outcome.id):
            memory[line["key"]] = outcomes
    return memory


def _outcome(line: dict[str, Any]) -> Outcome:
    outcome = Outcome(**{**line, "notes": tuple(line.get("notes", ()))})
    return replace(outcome, status="known") if outcome.status == "in" else outcome


def _read_lines(file: Path) -> list[dict[str, Any]]:
    """Complete lines of *file*; a torn last one is left out."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]


def _file(store: Path) -> Path:
    return store / LOCAL / "ledger.jsonl"
