from __future__ import annotations

from collections import Counter

from umzoo.data.preparing.report import Outcome, Report, Stale, refused
from umzoo.data.preparing.report_text import REMEDIES, WIDTH, report_lines
from umzoo.data.reading.refusal import Reason, Refused


def test_every_reason_has_a_remedy():
    assert set(REMEDIES) == set(Reason)


def test_every_line_fits_and_names_file_and_remedy():
    long = "folder/" * 20 + "scan-of-\x1bsomebody.nii.gz"
    report = Report(ignored=Counter({".txt": 3, "a named pipe": 1}))
    report.add([refused(f"{number}/{long}", "s", Refused(reason, "x" * 300)) for number, reason in enumerate(Reason)])
    report.add([Outcome(long, "in", modality="mr", modality_from="option", notes=("n" * 150,))])
    report.add([Outcome("b", "known", modality_from="unknown"), Outcome("c", "duplicate", detail=f"same as {long}")])
    report.stale = [Stale("id-mr", long, "gone")]
    report.problems = ["local/ledger.jsonl line 3 is damaged"]
    lines = list(report_lines(report, "/data/store"))
    assert max(map(len, lines)) <= WIDTH and all(map(str.isprintable, lines))
    text = " ".join(" ".join(lines).split())
    assert "2 volumes are in the store: 1 added now, 1 added before." in text
    assert all(remedy in text for remedy in REMEDIES.values())
    assert "umzoo store remove /data/store --stale" in text and "ledger.jsonl line 3" in text
    assert "1 a named pipe" in text and "--modality" in text
