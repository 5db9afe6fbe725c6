"""Outcomes by file content: lets a later run skip work even if files were renamed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from umzoo.data.preparing.report import REPAIRED, Outcome
from umzoo.data.reading.detached_headers import data_files
from umzoo.data.reading.refusal import Reason
from umzoo.data.reading.scan_source import Reading, ScanSource
from umzoo.data.store.durable_files import LOCAL, JsonLines, write_text
from umzoo.data.store.places import array_files

RULES_VERSION = 2
"""Version of the rules; increase it when the outcome for the same bytes changes, so that scans are read again."""

_PART = 1 << 22


def key_of(scan: ScanSource, reading: Reading) -> str:
    """Hash of the bytes of all files of the scan, and of everything else that decides its outcome, but not of paths.

    Raises:
        Refused: if its header names files that are missing or in another folder.
        OSError: if a file cannot be read.
    """
    total = blake2b(repr((RULES_VERSION, reading, scan.labels, scan.frames)).encode(), digest_size=16)
    files = [Path(file) for file in scan.files]
    if not scan.dicom:
        files += data_files(files[0])
    for digest in sorted(_digest(file) for file in files):
        total.update(digest)
    return total.hexdigest()


def _digest(path: Path) -> bytes:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while part := file.read(_PART):
            digest.update(part)
    return digest.digest()


class Ledger:
    """The ledger of a store, kept in its local folder."""

    def __init__(self, store: Path) -> None:
        self._lines = JsonLines(_file(store))

    def append(self, key: str, outcomes: Sequence[Outcome]) -> None:
        """Record the *outcomes* of the scan with *key*; a later line replaces an earlier one.

        Raises:
            StoreError: if the disk is full, or the file cannot be written.
        """
        self._lines.append({"key": key, "outcomes": [outcome.line() for outcome in outcomes]})

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


@dataclass
class Memory:
    """Outcomes by key, and problems with lines that could not be read."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def remembered(store: Path) -> Memory:
    """The ledger of *store*, without outcomes that have to be redone; corrupted lines are skipped."""
    memory = Memory()
    present = {file.stem for file in array_files(store)}
    for number, line in _lines(store):
        try:
            content = json.loads(line)
            outcomes = [_outcome(item) for item in content["outcomes"]]
            key = str(content["key"])
        except (ValueError, TypeError, KeyError, RecursionError):
            memory.problems.append(f"{LOCAL}/ledger.jsonl line {number} is corrupted: that scan is read again")
            continue
        memory.outcomes.pop(key, None)
        again = any(outcome.reason == Reason.MEMORY.value for outcome in outcomes)
        if not again and all(outcome.id in present for outcome in outcomes if outcome.id):
            memory.outcomes[key] = outcomes
    return memory


def compact_ledger(store: Path, forget: Reason | None = None) -> int:
    """Keep the last valid line of each key, if its volumes exist; return the number of dropped lines.

    Lines of scans refused for the reason *forget* are dropped too, so that these scans are read again.
    """
    kept = remembered(store).outcomes
    if forget is not None:
        kept = {key: all_ for key, all_ in kept.items() if all(outcome.reason != forget.value for outcome in all_)}
    latest: dict[str, str] = {}
    lines = list(_lines(store))
    for _, line in lines:
        try:
            key = str(json.loads(line)["key"])
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if key in kept:
            latest[key] = line
    if len(latest) < len(lines):
        write_text(_file(store), "".join(f"{line}\n" for line in latest.values()))
    return len(lines) - len(latest)


def _outcome(line: dict[str, Any]) -> Outcome:
    notes = tuple(note for note in line.get("notes", ()) if note != REPAIRED)
    outcome = Outcome(**{**line, "notes": notes})
    return replace(outcome, status="known") if outcome.status == "in" else outcome


def _lines(store: Path) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the complete lines; an incomplete last line is left out."""
    file = _file(store)
    if file.is_file():
        yield from enumerate(file.read_bytes().decode("utf-8", "replace").split("\n")[:-1], 1)


def _file(store: Path) -> Path:
    return store / LOCAL / "ledger.jsonl"
