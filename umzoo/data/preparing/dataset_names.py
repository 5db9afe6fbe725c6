"""Public names of data sets: a name given by the user, or a number; folder names are not published.

Folders are often named after patients or clinics. So ``STORE/local/sources.json`` maps numbers to folders, and only the
number enters the index and the weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from umzoo.data.reading.regular_files import read_json
from umzoo.data.reading.scan_source import ScanSource
from umzoo.data.store.durable_files import LOCAL, write_text

UNNAMED = "unnamed-"
_FILE = "sources.json"


def public_names(scans: Sequence[ScanSource], store: Path) -> list[ScanSource]:
    """Return *scans* with the public names of their data sets; new numbers continue those of *store*.

    Raises:
        DataError: if the store's list of numbers is corrupted.
        OSError: if it cannot be written.
    """
    known = real_names(store)
    numbers = {real: public for public, real in known.items()}
    for scan in scans:
        if not scan.named and scan.source not in numbers:
            numbers[scan.source] = f"{UNNAMED}{len(numbers) + 1}"
    if len(numbers) > len(known):
        write_text(
            store / LOCAL / _FILE, json.dumps({public: real for real, public in numbers.items()}, indent=1) + "\n"
        )
    return [scan if scan.named else replace(scan, source=numbers[scan.source]) for scan in scans]


def real_names(store: Path) -> dict[str, str]:
    """Name in the index to name of the folder, if *store* still has its local folder."""
    return {str(public): str(real) for public, real in read_json(store / LOCAL / _FILE).items()}
