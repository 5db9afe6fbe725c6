"""Columns of manifests that become targets of the store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from umzoo.data.reading.scan_source import ScanSource
from umzoo.data.store.targets import require_classes
from umzoo.errors import ConfigError, DataError, in_one_line, nearest


def with_targets(scans: Sequence[ScanSource], names: Sequence[str]) -> list[ScanSource]:
    """Return *scans* with their columns in *names*; all other columns are dropped.

    Raises:
        ConfigError: if a name is not a valid name of a target.
        DataError: if no scan has a column, or its values are neither numbers nor classes.
    """
    columns = {column for scan in scans for column, _ in scan.targets} if names else set()
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ConfigError(f"--target expects a name of letters, digits and '_', got '{in_one_line(name, 60)}'")
        if name not in columns:
            known = f"other columns are {', '.join(sorted(columns))}" if columns else "there are no other columns"
            raise DataError(f"no manifest has a column '{name}'{nearest(name, columns)}: {known}")
        require_classes(name, [text for scan in scans for column, text in scan.targets if column == name])
    return [replace(scan, targets=tuple(pair for pair in scan.targets if pair[0] in names)) for scan in scans]
