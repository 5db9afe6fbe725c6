"""The results of discovery: files that may hold scans, scans, and files that are refused without reading."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from umzoo.data.preparing import manifest
from umzoo.data.preparing.dataset_layouts import DataSet
from umzoo.data.preparing.report import Outcome, refused
from umzoo.data.reading.formats import SUFFIXES, suffix_of
from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.scan_source import ScanSource


@dataclass
class Found:
    """Scans to prepare, files that are refused without reading, and other files by suffix."""

    scans: list[ScanSource] = field(default_factory=list)
    refused: list[Outcome] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def refuse(self, name: str, problem: str, source: str = "") -> None:
        """Report that *name* cannot be read because of *problem*."""
        self.refused.append(refused(name, source, Refused(Reason.UNREADABLE, problem)))

    def refuse_odd(self, file: File, problem: str) -> None:
        """Report a *file* that is not a regular file: by name if it may be a scan, otherwise as a count."""
        kind = problem.partition(",")[0].partition(":")[0]
        if file.row is None and suffix_of(file.path) not in SUFFIXES and not kind.startswith("permission"):
            self.ignored[kind] += 1
        else:
            self.refuse(file.name, problem, file.source)

    def ignore(self, path: Path) -> None:
        """Count a file that is not a scan; the ``.img`` of a ``.hdr`` is part of one."""
        name = path.name.lower()
        pair = path.with_name(path.name[: name.rfind(".img")] + (".hdr.gz" if name.endswith(".gz") else ".hdr"))
        if not (name.endswith((".img", ".img.gz")) and pair.exists()):
            self.ignored[path.suffix.lower() or "without suffix"] += 1


@dataclass(frozen=True)
class File:
    """A file that may hold a scan."""

    path: Path
    name: str
    data: DataSet
    row: manifest.Row | None = None

    @property
    def source(self) -> str:
        """The name of its data set."""
        return (self.row.source if self.row else "") or self.data.name

    @property
    def others(self) -> tuple[tuple[str, str], ...]:
        """Its values in other columns of a manifest, which may be targets."""
        return self.row.others if self.row else ()

    @property
    def named(self) -> bool:
        """Whether the user gave the name of the data set."""
        return bool(self.row and self.row.source) or self.data.named

    @property
    def listed(self) -> bool:
        """Whether a manifest names the file itself, not its folder."""
        return self.row is not None and self.row.path == self.path
