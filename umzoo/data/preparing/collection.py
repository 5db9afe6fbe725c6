"""One run of preparation: writes each result to the index and the ledger at once, and finalizes both at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from umzoo.data.preparing.deduplication import Settled, settle
from umzoo.data.preparing.discovered import Found
from umzoo.data.preparing.ledger import Ledger, remembered
from umzoo.data.preparing.origins import Origin, read_origins, stale, write_origins
from umzoo.data.preparing.report import Outcome, Report, Stale
from umzoo.data.reading.refusal import Reason
from umzoo.data.reading.scan_source import ScanSource
from umzoo.data.store.durable_files import LOCAL, StoreError, write_text
from umzoo.data.store.writer import StoreWriter

Progress = Callable[[int, int, Report], None]


class Collector:
    """Collects the results of *scans*.

    Args:
        scans: in the order of discovery, with the public names of their data sets.
        found: all results of discovery.
        writer: the store.
        ledger: the ledger of the store.
        roots: the given folders and files.
    """

    def __init__(
        self, scans: Sequence[ScanSource], found: Found, writer: StoreWriter, ledger: Ledger, roots: Sequence[Path]
    ) -> None:
        self.scans, self.found, self.writer, self.ledger, self.roots = scans, found, writer, ledger, roots
        self._memory = remembered(writer.path)
        self._before = set(writer.records)
        self._origins = read_origins(writer.path)

    def collect(self, results: Iterable[tuple[ScanSource, list[Outcome]]], progress: Progress) -> Report:
        """Write each of *results* at once; then finalize the index, and write and return the report.

        Raises:
            StoreError: if the store cannot be written; the report is written first, if it can be.
        """
        report = Report(ignored=self.found.ignored, problems=self._memory.problems)
        report.add(self.found.refused)
        outcomes: list[list[Outcome]] = [[] for _ in self.scans]
        place = {scan: number for number, scan in enumerate(self.scans)}
        progress(0, len(self.scans), report)
        try:
            for done, (scan, result) in enumerate(results, 1):
                outcomes[place[scan]] = result
                report.add(result)
                self._enter(result)
                progress(done, len(self.scans), report)
            settled = self._settle(outcomes)
        except StoreError:
            with suppress(StoreError):
                _write_report(self.writer.path, report)
            raise
        report.settle([*self.found.refused, *(outcome for scan in settled.outcomes for outcome in scan)])
        report.stale = self._stale(settled)
        _write_report(self.writer.path, report)
        return report

    def _enter(self, outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes of one scan to disk, so that a later run can continue."""
        for outcome in outcomes:
            if outcome.reason == Reason.STORE.value:
                raise StoreError(outcome.detail)
            if outcome.record is not None:
                self.writer.add(outcome.record)
        key = outcomes[0].key if outcomes and all(outcome.key for outcome in outcomes) else ""
        if key and any(outcome.status != "known" for outcome in outcomes) and key not in self._memory.outcomes:
            self.ledger.append(key, outcomes)
            self._memory.outcomes[key] = list(outcomes)

    def _settle(self, outcomes: Sequence[Sequence[Outcome]]) -> Settled:
        files = {scan.files[0]: number for number, scan in enumerate(self.scans)}
        places = {name: files[origin.file] for name, origin in self._origins.items() if origin.file in files}
        settled = settle(outcomes, self.writer.records, self._before, places)
        self.writer.settle(settled.records)
        self.writer.describe({name: dict(self.scans[it].targets) for name, (it, _) in settled.origins.items()})
        for raw, final in zip(outcomes, settled.outcomes, strict=True):
            if raw and raw[0].key and any(outcome.id and outcome.id not in settled.records for outcome in raw):
                self.ledger.append(raw[0].key, final)
        return settled

    def _stale(self, settled: Settled) -> list[Stale]:
        """Volumes whose scans changed or are missing; the origin of all others is kept for the next run."""
        origins = {name: origin for name, origin in self._origins.items() if name in settled.records}
        unclaimed = origins.keys() - settled.origins.keys()
        for name, (place, outcome) in settled.origins.items():
            record = settled.records[name]
            origins[name] = Origin(self.scans[place].files[0], outcome.name, record.source, record.subject)
        write_origins(self.writer.path, origins)
        return stale(origins, unclaimed, {scan.files[0] for scan in self.scans}, self.roots)


def _write_report(store: Path, report: Report) -> None:
    folder = store / LOCAL
    write_text(folder / "report.json", json.dumps(report.summary(), indent=1) + "\n")
    lines = (json.dumps({k: v for k, v in o.line().items() if k != "key"}) for o in report.outcomes)
    write_text(folder / "report.jsonl", "".join(f"{line}\n" for line in lines))
