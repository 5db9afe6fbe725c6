"""Where the files of a store lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

VOLUMES, HALVES = "volumes", "halves"
"""Folders of the arrays, and of their copies at half the resolution."""
PREFIX = 2
"""Characters of a volume's id that name its subfolder, so that no folder gets a hundred thousand files."""


def array_file(store: Path, name: str, folder: str = VOLUMES) -> Path:
    """The file of the volume *name*; in stores of before there are no subfolders."""
    file = store / folder / name[:PREFIX] / f"{name}.b2nd"
    flat = store / folder / file.name
    return flat if not file.is_file() and flat.is_file() else file


def array_files(store: Path, folder: str = VOLUMES) -> Iterator[Path]:
    """All files of arrays that are there."""
    yield from (store / folder).glob("*.b2nd")
    yield from (store / folder).glob("*/*.b2nd")
