"""Checks the texts of weights for names, identifiers and paths that must not leave a hospital.

There are two rules. Only fields on a list are uploaded, each with values of its form
(:mod:`umzoo.hub.pushing.allowed_fields`). And free text is searched for anything that looks like an
identifier or a name. Nothing replaces reading a model card before it is published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umzoo.errors import WeightsError
from umzoo.files import MAX_DEPTH, is_shallow
from umzoo.hub.pushing.allowed_fields import unlisted
from umzoo.hub.pushing.patient_identifiers import PATTERNS
from umzoo.hub.pushing.person_names import names_in, names_in_label

SHOWN = 5
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
    """Refuse *texts* that could identify a patient.

    Args:
        texts: contents by file name; those of ``.json`` files are checked key by key.

    Raises:
        WeightsError: if something was found; the error names it and its place.
    """
    found = [finding for name, text in texts.items() for finding in inspect(name, text)]
    if found:
        more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        shown = "; ".join(map(str, found[:SHOWN]))
        raise WeightsError(f"this could identify a patient and must not be uploaded: {shown}{more}; remove it")


def inspect(name: str, text: str) -> Iterator[Finding]:
    """Yield everything in *text* of the file *name* that could identify a patient, or is not on the list."""
    for where, what, found in unlisted(name, text):
        yield Finding(f"{name}{where}", what, found)
    if Path(name).suffix == ".json":
        content = _json(text)
        if content is not None:
            yield from _in_values(content, name)
            return
    for number, line in enumerate(text.splitlines(), 1):
        yield from _in_text(line, f"{name} line {number}")


def _json(text: str) -> Any:
    """The value of the JSON *text*; None if it is not JSON or nested too deeply, and must be checked as plain text."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if is_shallow(content, MAX_DEPTH) else None


def _in_text(text: str, where: str) -> Iterator[Finding]:
    for what, patterns in PATTERNS.items():
        for match in (match for pattern in patterns for match in pattern.finditer(text)):
            yield Finding(where, what, match.group().strip()[:80])
    for name in names_in(text):
        yield Finding(where, "a person's name", name)


def _in_values(value: Any, where: str) -> Iterator[Finding]:
    """Check every key and string of a JSON document."""
    if isinstance(value, dict):
        for key, item in value.items():
            inner = f"{where}, {key}"
            yield from _in_text(key, inner)
            if KEYS.fullmatch(key) and item not in (None, "", [], {}, 0):
                yield Finding(inner, "a list of subjects or scans,", str(item)[:80])
            if where.endswith(", datasets") and (digits := _DATASET_NUMBER.search(key)):
                yield Finding(inner, "a long number in the name of a data set,", digits.group())
            if where.endswith(", datasets"):
                yield from (Finding(inner, "a person's name", part) for part in names_in_label(key))
            yield from _in_values(item, inner)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _in_values(item, f"{where}[{number}]")
    elif isinstance(value, str):
        for line in value.splitlines():
            yield from _in_text(line, where)
