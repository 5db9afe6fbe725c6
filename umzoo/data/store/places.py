"""Where the files of a store lie."""

from __future__ import annotations

from pathlib import Path


def array_file(store: Path, name: str) -> Path:
    """The file of the volume *name*."""
    return store / "volumes" / f"{name}.b2nd"
