"""What must not leave a hospital: names, identifiers and paths in the texts that go with weights.

These are patterns, so they find what looks like an identifier; nothing replaces reading a model card before it is
published. Identifiers of DICOM are those of PS3.15 Annex E (attributes to be removed) that could end up in a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umzoo.errors import WeightsError

SHOWN = 5
_ANY_CASE: dict[str, tuple[str, ...]] = {
    "a local path": (
        r"(?<![\w:/.<\]*~-])/(?:[\w.+@-]+/)+[\w.+@-]+",
        r"(?<![\w~])~/[\w.+@-]+",
        r"(?<!\w)[a-z]:\\[\w.+@-]+",
        r"\\\\[\w.$-]+\\[\w.$-]+",
        r"file:/[^\s\"')|]+",
    ),
    "a DICOM UID": (r"(?<![\w.])(?!1\.2\.840\.10008\.)[0-2](?:\.(?:0|[1-9]\d*)){5,}(?!\+|\.?\w)",),
    "a DICOM attribute": (
        r"\bpatient'?s?[ _]?(?:name|ids?|birth[ _]?(?:date|time)|address|telephone\w*)['\"]?\s*[:=|]",
        r"\b(?:study|series|sop)[ _]?instance[ _]?uid\b['\"]?\s*[:=|]",
        r"\b(?:accession[ _]?number|institution[ _]?(?:name|address)|medical[ _]?record\w*)['\"]?\s*[:=|]",
        r"\b(?:referring|performing)[ _]?physician\w*['\"]?\s*[:=|]",
        r"\((?:0008|0010|0020|0040),\s?[0-9a-f]{4}\)",
    ),
    "a person's name": (r"\b[^\W\d][\w'-]+\^[^\W\d][\w'^. -]*",),
    "a subject": (
        r"\b(?:sub|ses)-(?!\d+(?:\.\d+)?[mc]m\b)(?=[a-z]*\d)[a-z0-9]+\b",
        r"\b(?:patient|pat|subject|subj|case)[ _-]?(?:id|no|nr)?[ _:#=-]{0,2}[a-z]{0,3}\d{2,}\b",
    ),
    "the file of a scan": (r"\b(?=[\w-]*\d)[\w-]+\.(?:nii(?:\.gz)?|dcm|mha|mhd|nrrd|mgz|b2nd)\b",),
    "a record number or date": (r"\b(?:MRN|PID|DOB)[ _:#=-]{0,2}[a-z]{0,3}\d[\d./-]{3,}",),
}
PATTERNS = {what: [re.compile(part, re.IGNORECASE) for part in parts] for what, parts in _ANY_CASE.items()}
"""What is looked for in every text."""
KEYS = re.compile(r"(?:subjects?|patients?|cases?|paths?|file_?paths?)(?:_?(?:ids?|names?|list))?", re.IGNORECASE)
"""Keys of ``config.json`` whose values name people or scans."""
_DATASET_NUMBER = re.compile(r"(?<!ds)(?<!\d)\d{6,}")


@dataclass(frozen=True)
class Finding:
    """Something that could identify a patient: *what* it is, *where*, and the *text* itself."""

    where: str
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} {self.text!r}"


def require_anonymous(texts: Mapping[str, str]) -> None:
    """Refuse *texts*, by file name, if they hold what could identify a patient.

    Args:
        texts: contents by file name; those of ``.json`` are looked at key by key.

    Raises:
        WeightsError: with what was found and where.
    """
    found = [finding for name, text in texts.items() for finding in inspect(name, text)]
    if found:
        more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        shown = "; ".join(map(str, found[:SHOWN]))
        raise WeightsError(f"this could identify a patient and must not be uploaded: {shown}{more}; remove it")


def inspect(name: str, text: str) -> Iterator[Finding]:
    """Yield what in *text* of the file *name* could identify a patient."""
    if Path(name).suffix == ".json":
        try:
            yield from _in_values(json.loads(text), name)
            return
        except ValueError:
            pass
    for number, line in enumerate(text.splitlines(), 1):
        yield from _in_text(line, f"{name} line {number}")


def _in_text(text: str, where: str) -> Iterator[Finding]:
    for what, patterns in PATTERNS.items():
        for match in (match for pattern in patterns for match in pattern.finditer(text)):
            yield Finding(where, what, match.group().strip()[:80])


def _in_values(value: Any, where: str) -> Iterator[Finding]:
    """Look at every key and string of a JSON document."""
    if isinstance(value, dict):
        for key, item in value.items():
            inner = f"{where}, {key}"
            yield from _in_text(key, inner)
            if KEYS.fullmatch(key) and item not in (None, "", [], {}, 0):
                yield Finding(inner, "a list of subjects or scans,", str(item)[:80])
            if where.endswith(", datasets") and (digits := _DATASET_NUMBER.search(key)):
                yield Finding(inner, "a long number in the name of a data set,", digits.group())
            yield from _in_values(item, inner)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _in_values(item, f"{where}[{number}]")
    elif isinstance(value, str):
        yield from _in_text(value, where)
