"""The report of a transfer on a page: how much of each stage was set, and every tensor."""

from __future__ import annotations

from collections.abc import Sequence

from umzoo.downstream.browse.page import Page, escaped, table
from umzoo.weights.transfer.report import TensorRecord, TransferReport, percent

KINDS = {
    "exact": "set as they were",
    "adapted": "set after a change",
    "fresh": "left at random values",
}


def add_report(page: Page, report: TransferReport) -> None:
    """Add *report*: one line, warnings, a bar for each stage, and below each bar its tensors."""
    page.paragraph(f"{report.verdict}.")
    page.facts(
        {
            "weights": report.source,
            "network": f"{report.target} ({report.family})",
            "encoder's kernels set": percent(report.coverage),
            "decoder's kernels set": "" if report.decoder_coverage is None else percent(report.decoder_coverage),
            "sha256 of the weights": report.sha256,
        }
    )
    if report.warnings:
        page.add("".join(f'<p class="warning">{escaped(warning)}</p>' for warning in report.warnings))
    keys = "".join(f'<span class="key"><i class="{kind}"></i>{words}</span>' for kind, words in KINDS.items())
    page.add(f"<p>Values of kernels (convolution and linear weights); a stage opens to show its tensors. {keys}</p>")
    for group in report.groups:
        page.add(_stage(group.group, [record for record in report.tensors if record.group == group.group]))
    if report.dropped:
        rows = [(it.name, it.note, f"{it.values:,}") for it in report.dropped]
        count = "1 tensor" if len(rows) == 1 else f"{len(rows)} tensors"
        listed = table(rows, ("tensor", "why", "values"))
        page.add(f"<details><summary>{count} of the weights that were not used</summary>{listed}</details>")


def _stage(name: str, records: Sequence[TensorRecord]) -> str:
    """A stage: its bar, and its tensors behind it."""
    kernels = [record for record in records if record.kernel]
    total = sum(record.values for record in kernels)
    parts = {kind: sum(it.transferred for it in kernels if it.kind == kind) for kind in ("exact", "adapted")}
    parts["fresh"] = total - sum(parts.values())
    bar = "".join(f'<b class="{kind}" style="width: {_percent(part, total):.2f}%"></b>' for kind, part in parts.items())
    reached = percent(1 - parts["fresh"] / total) if total else "no kernels"
    rows = [(it.name, it.kind, it.source or "", it.note, f"{it.values:,}") for it in records]
    return (
        f'<details class="stage"><summary><span>{escaped(name)}</span><span class="bar">{bar}</span>'
        f"<span>{reached}</span></summary>"
        f"{table(rows, ('tensor', 'set', 'from', 'how, or why not', 'values'))}</details>"
    )


def _percent(part: int, total: int) -> float:
    return 100 * part / total if total else 0.0
