"""The outcome of each scan, and the summary at the end of preparation. It names files, so it is not shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from umzoo.data.reading.refusal import Refused
from umzoo.data.store.record import VolumeRecord

Status = Literal["in", "known", "duplicate", "refused"]
REPAIRED = "its array was missing or damaged: made again"
"""Note on a volume that a run repaired; ledgers contain it."""


@dataclass(frozen=True)
class Outcome:
    """The outcome for one volume, or for one scan without volumes.

    Args:
        name: file relative to its source, with the frame in brackets if it has several.
        status: ``in`` (added), ``known`` from before, ``duplicate`` of another volume, or ``refused``.
        reason: short reason of a refusal; *detail* explains it.
        source: public name of the data set.
        key: hash of the file's bytes; if it is empty, the scan is tried again next time.
        id: volume in the store.
        subject: keyed hash of the person's name, as in the store.
    """

    name: str
    status: Status
    reason: str = ""
    detail: str = ""
    source: str = ""
    key: str = ""
    id: str = ""
    modality: str = ""
    modality_from: str = ""
    contrast: str = ""
    subject: str = ""
    notes: tuple[str, ...] = ()
    record: VolumeRecord | None = field(default=None, compare=False)

    def line(self) -> dict[str, Any]:
        """As a JSON object without empty fields."""
        return {name: value for name, value in asdict(self).items() if name != "record" and value}


def refused(name: str, source: str, why: Refused, key: str = "") -> Outcome:
    """The outcome of a scan refused for *why*."""
    return Outcome(name, "refused", why.reason.value, why.detail, source, key)


@dataclass(frozen=True)
class Stale:
    """A volume of the store whose scan changed, or is no longer in the given sources."""

    id: str
    name: str
    how: Literal["changed", "gone"]


@dataclass
class Report:
    """Counts of one run of preparation, over all its sources.

    Attributes:
        outcomes: of every scan.
        ignored: other files, by suffix or kind.
        stale: volumes whose scans changed or are missing.
        problems: problems of the store's own files.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    stale: list[Stale] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Add *outcomes* to the counts."""
        for outcome in outcomes:
            self.outcomes.append(outcome)
            self.counts[outcome.status] += 1

    def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Replace all outcomes."""
        self.outcomes, self.counts = [], Counter()
        self.add(outcomes)

    def count(self, *statuses: Status) -> int:
        """Outcomes with any of *statuses*."""
        return sum(self.counts[status] for status in statuses)

    @property
    def refusals(self) -> dict[str, int]:
        """Refused scans by reason."""
        return dict(Counter(o.reason for o in self.outcomes if o.status == "refused").most_common())

    @property
    def volumes(self) -> list[Outcome]:
        """Outcomes of the volumes in the store."""
        return [outcome for outcome in self.outcomes if outcome.status in ("in", "known")]

    def summary(self) -> dict[str, Any]:
        """The counts as a JSON object."""
        modalities = Counter(f"{o.modality or 'unknown'} ({o.modality_from})" for o in self.volumes)
        return {
            "in": self.count("in"),
            "in_before": self.count("known"),
            "repaired": sum(REPAIRED in o.notes for o in self.volumes),
            "duplicates": self.count("duplicate"),
            "refused": self.count("refused"),
            "refusals": self.refusals,
            "modalities": dict(modalities.most_common()),
            "notes": dict(Counter(note for o in self.volumes for note in o.notes).most_common()),
            "other_files": dict(self.ignored.most_common()),
            "stale": [asdict(stale) for stale in self.stale],
            "problems": self.problems,
        }
