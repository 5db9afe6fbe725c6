"""Paths of the files of a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

VOLUMES, HALVES = "volumes", "halves"
"""Folders of the arrays, and of their copies at half the resolution."""
PREFIX = 2
"""Number of characters of a volume's id in the name of its subfolder, so that folders do not get too large."""


def array_file(store: Path, name: str, folder: str = VOLUMES) -> Path:
    """The file of the volume *name*; stores of earlier versions have no subfolders."""
    file = store / folder / name[:PREFIX] / f"{name}.b2nd"
    flat = store / folder / file.name
    return flat if not file.is_file() and flat.is_file() else file


def array_files(store: Path, folder: str = VOLUMES) -> Iterator[Path]:
    """All existing files of arrays."""
    yield from (store / folder).glob("*.b2nd")
    yield from (store / folder).glob("*/*.b2nd")
