"""The source file of each volume of a store, and the volumes that were removed on purpose; both are not shared."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from umzoo.data.preparing.report import Stale
from umzoo.data.reading.regular_files import read_json
from umzoo.data.store.durable_files import LOCAL, write_text
from umzoo.data.store.identity import content_of

_ORIGINS, _REMOVED = "origins.json", "removed.json"


@dataclass(frozen=True)
class Origin:
    """The origin of a volume: the absolute *file* (the first slice of a series), and its *name* in the report."""

    file: str
    name: str
    source: str = ""
    subject: str = ""


def read_origins(store: Path) -> dict[str, Origin]:
    """Origins by id of volume."""
    return _read(store, _ORIGINS)


def write_origins(store: Path, origins: Mapping[str, Origin]) -> None:
    """Replace the origins of *store*."""
    _write(store, _ORIGINS, origins)


def read_removed(store: Path) -> dict[str, Origin]:
    """Origins, by content, of the volumes that were removed on purpose and must not be added again."""
    return {content_of(name): origin for name, origin in _read(store, _REMOVED).items()}


def write_removed(store: Path, removed: Mapping[str, Origin]) -> None:
    """Replace the list of removed volumes."""
    _write(store, _REMOVED, removed)


def stale(
    origins: Mapping[str, Origin], unclaimed: Iterable[str], files: Collection[str], roots: Collection[Path]
) -> list[Stale]:
    """Volumes that no scan of this run produced, although their file is in *files*, or is missing below a root."""
    found = []
    for name in sorted(unclaimed):
        origin = origins.get(name)
        if origin is None:
            continue
        path = Path(origin.file)
        if origin.file in files:
            found.append(Stale(name, origin.name, "changed"))
        elif not os.path.lexists(path) and any(root == path or root in path.parents for root in roots):
            found.append(Stale(name, origin.name, "gone"))
    return found


def _read(store: Path, name: str) -> dict[str, Origin]:
    known = Origin.__dataclass_fields__
    return {
        key: Origin(**{field: str(entry.get(field, "")) for field in known})
        for key, entry in read_json(store / LOCAL / name).items()
        if isinstance(entry, dict)
    }


def _write(store: Path, name: str, entries: Mapping[str, Origin]) -> None:
    content = {key: {k: v for k, v in asdict(entries[key]).items() if v} for key in sorted(entries)}
    write_text(store / LOCAL / name, json.dumps(content, indent=0) + "\n")
