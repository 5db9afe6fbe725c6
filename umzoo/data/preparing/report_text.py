"""The report of a preparation in lines of at most 100 columns: volumes added, scans left out, and remedies."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from umzoo.data.preparing.report import Outcome, Report
from umzoo.data.reading.refusal import Reason
from umzoo.printable import printable

WIDTH = 100
_NOTES = 10
REMEDIES = {
    Reason.TWO_D: "no action needed: only 3D volumes are supported",
    Reason.THIN: "no action needed, or try a finer --spacing",
    Reason.COLOR: "convert to grayscale if it is an image",
    Reason.COMPLEX: "provide magnitude images",
    Reason.VECTOR: "save one file per channel",
    Reason.NOT_FINITE: "use --nan fill, or replace these values in the file",
    Reason.CONSTANT: "no action needed: the image is empty",
    Reason.LABELS: "no action needed; if it is an image, use the original with all its gray levels",
    Reason.GEOMETRY: "correct the header, or use --spacing native",
    Reason.SLICES: "add the missing slices, and run again",
    Reason.UNEVEN: "use --uneven resample",
    Reason.MIXED: "export each series to its own folder, and run again",
    Reason.PACKED: "unpack the files, and run again",
    Reason.NOT_A_VOLUME: "no action needed: the file has no volume",
    Reason.UNREADABLE: "download or export the file again",
    Reason.MEMORY: "use fewer --workers, a coarser --spacing, or more memory",
    Reason.DIED: "run again with --workers 1; if it fails again, export the file again",
    Reason.FAILED: "report this as a bug, with the file if it can be shared",
    Reason.REMOVED: "to restore it: umzoo store remove STORE --file NAME --undo",
    Reason.STORE: "free disk space, and run again",
}
"""Recommended action for each reason."""


def report_lines(report: Report, store: Path | str, examples: int = 3) -> Iterator[str]:
    """Yield the lines of *report* on *store*, with some *examples* of each reason."""
    yield from _totals(report)
    yield from _left_out(report, examples)
    notes = [outcome for outcome in report.volumes if outcome.notes]
    if notes:
        yield f"Notes on {len(notes)} volumes:"
        yield from _some((f"{o.name}: {'; '.join(o.notes)}" for o in notes[:_NOTES]), len(notes), _NOTES)
    yield from _stale(report, store, examples)
    if report.problems:
        yield "Repaired in the store:"
        yield from _some(report.problems[:examples], len(report.problems), examples)
    if report.ignored:
        others = ", ".join(f"{count} {kind}" for kind, count in report.ignored.most_common(8))
        yield from _wrapped(f"Other files (not scans): {others}", "")
    if report.count("refused", "duplicate") or notes:
        yield from _wrapped(f"Details of each scan: {Path(store) / 'local' / 'report.jsonl'}", "")


def _totals(report: Report) -> Iterator[str]:
    new, before = report.count("in"), report.count("known")
    yield f"{new + before} volumes are in the store: {new} added now, {before} added before."
    origins = Counter((o.modality or "unknown", o.modality_from) for o in report.volumes)
    for (modality, origin), count in sorted(origins.items()):
        hint = "; set it with --modality 'mr=PATTERN'" if modality == "unknown" else ""
        yield f"  {count:>7} {modality} (modality from: {origin if origin != 'unknown' else 'no source'}{hint})"


def _left_out(report: Report, examples: int) -> Iterator[str]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in report.outcomes:
        if outcome.status in ("refused", "duplicate"):
            groups.setdefault(outcome.reason or outcome.status, []).append(outcome)
    if groups:
        yield f"{report.count('refused', 'duplicate')} scans or volumes were left out:"
    remedies = {reason.value: remedy for reason, remedy in REMEDIES.items()}
    for reason, members in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        yield from _wrapped(f"{len(members)} {reason} ({remedies.get(reason, 'no action needed')})", "  ")
        yield from _some((f"{o.name}: {o.detail}" for o in members[:examples]), len(members), examples, "    ")


def _stale(report: Report, store: Path | str, examples: int) -> Iterator[str]:
    if not report.stale:
        return
    many = f"{len(report.stale)} volumes in the store are outdated: their scans changed or were deleted."
    yield from _wrapped(f"{many} To remove them: umzoo store remove {store} --stale", "")
    lines = (f"{stale.name} ({stale.how}): volume {stale.id}" for stale in report.stale[:examples])
    yield from _some(lines, len(report.stale), examples)


def _some(lines: Iterable[str], count: int, shown: int, indent: str = "  ") -> Iterator[str]:
    for line in lines:
        yield from _wrapped(line, indent)
    if count > shown:
        yield f"{indent}... and {count - shown} more"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    )
