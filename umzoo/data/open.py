"""Opens whatever can be trained from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from umzoo.data.store import Store


def open_store(path: Path | str, only: Sequence[str] | None = None) -> Store:
    """Open *path* for reading.

    Args:
        path: a store made by ``umzoo prepare``.
        only: ids of the volumes to see; None is all.

    Raises:
        DataError: if *path* is neither, or lacks one of *only*.
    """
    return Store(path, only)
