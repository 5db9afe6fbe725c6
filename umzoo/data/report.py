"""What preparation did with each scan, and the summary shown at its end. Stays on the machine: it names files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from umzoo.data.refusal import Refused
from umzoo.data.store import VolumeRecord

Status = Literal["in", "known", "duplicate", "refused"]


@dataclass(frozen=True)
class Outcome:
    """What became of one volume, or of one scan that yields none.

    Args:
        name: file relative to its source, with the frame in brackets where it has several.
        status: ``in`` this time, ``known`` from before, ``duplicate`` of another volume, or ``refused``.
        reason: short reason of a refusal; *detail* says more.
        key: hash of the file's bytes; empty where there is none, so that the scan is tried again next time.
        id: volume in the store.
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
    notes: tuple[str, ...] = ()
    record: VolumeRecord | None = field(default=None, compare=False)

    def line(self) -> dict[str, Any]:
        """As a JSON object without empty fields."""
        return {name: value for name, value in asdict(self).items() if name != "record" and value}


def refused(name: str, source: str, why: Refused, key: str = "") -> Outcome:
    """The outcome of a scan refused for *why*."""
    return Outcome(name, "refused", why.reason.value, why.detail, source, key)


@dataclass
class Report:
    """Counts of one run of preparation, over everything its sources hold."""

    outcomes: list[Outcome] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Count *outcomes* in."""
        self.outcomes += outcomes
        self.counts.update(outcome.status for outcome in outcomes)

    def count(self, *status: Status) -> int:
        """Number of outcomes of the given kinds."""
        return sum(self.counts[kind] for kind in status)

    @property
    def refusals(self) -> dict[str, int]:
        """Refused scans by reason, the commonest first."""
        return dict(Counter(o.reason for o in self.outcomes if o.status == "refused").most_common())

    def summary(self) -> dict[str, Any]:
        """The counts as a JSON object."""
        volumes = [o for o in self.outcomes if o.status in ("in", "known")]
        modalities = Counter(f"{o.modality or 'unknown'} ({o.modality_from})" for o in volumes)
        return {
            "in": self.count("in"),
            "in_before": self.count("known"),
            "duplicates": self.count("duplicate"),
            "refused": self.count("refused"),
            "refusals": self.refusals,
            "modalities": dict(modalities.most_common()),
            "notes": dict(Counter(note for o in volumes for note in o.notes).most_common()),
            "other_files": dict(self.ignored.most_common()),
        }

    def render(self, examples: int = 3) -> Group:
        """Tables for the terminal: what is in, what is not and why, with some *examples* of each reason."""
        parts: list[Any] = [self._totals()]
        if self.count("refused", "duplicate"):
            parts.append(self._refusals(examples))
        notes = [o for o in self.outcomes if o.notes and o.status in ("in", "known")]
        parts += [Text(f"  {o.name}: {'; '.join(o.notes)}") for o in notes[:10]]
        if len(notes) > 10:
            parts.append(Text(f"  ... and {len(notes) - 10} more notes in report.jsonl"))
        if self.ignored:
            others = ", ".join(f"{count} {suffix}" for suffix, count in self.ignored.most_common(8))
            parts.append(Text(f"Other files, not scans: {others}"))
        return Group(*parts)

    def _totals(self) -> Table:
        table = Table(title="Volumes in the store", title_justify="left")
        table.add_column("modality")
        table.add_column("told by")
        table.add_column("volumes", justify="right")
        volumes = Counter((o.modality, o.modality_from) for o in self.outcomes if o.status in ("in", "known"))
        for (modality, told), count in sorted(volumes.items()):
            table.add_row(modality or "unknown", told, str(count))
        before = self.count("known")
        table.add_section()
        table.add_row("total", f"{before} from before" if before else "", str(sum(volumes.values())))
        return table

    def _refusals(self, examples: int) -> Table:
        table = Table(title="Not in the store", title_justify="left")
        table.add_column("reason")
        table.add_column("scans", justify="right")
        table.add_column("such as", overflow="fold")
        groups: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            if outcome.status in ("refused", "duplicate"):
                groups.setdefault(outcome.reason or outcome.status, []).append(outcome)
        for reason, members in sorted(groups.items(), key=lambda item: -len(item[1])):
            shown = "\n".join(f"{o.name}: {o.detail}" for o in members[:examples])
            table.add_row(reason, str(len(members)), Text(shown))
        return table
