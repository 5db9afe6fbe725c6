"""Opens stores of all kinds for training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from umzoo.data.preprocessed.folder import PreprocessedFolder
from umzoo.data.preprocessed.layout import find_layout
from umzoo.data.store.reader import Store
from umzoo.data.store.remote import RemoteStore, as_url
from umzoo.data.store.shards import PackedStore, is_packed
from umzoo.errors import DataError


def open_store(path: Path | str, only: Sequence[str] | None = None) -> Store:
    """Open *path* for reading.

    Args:
        path: a store made by ``umzoo prepare`` or ``umzoo store pack``, the URL of a packed one, or a folder
            preprocessed by nnU-Net v2 or nnssl (of a configuration, or of a data set with only one
            configuration).
        only: ids of the volumes to use; None is all.

    Raises:
        DataError: if *path* is none of these, or lacks one of *only*.
    """
    if (url := as_url(path)) is not None:
        return RemoteStore(url, only)
    path = Path(path)
    if is_packed(path):
        return PackedStore(path, only)
    if (path / "store.json").is_file():
        return Store(path, only)
    layout = find_layout(path) if path.is_dir() else None
    if layout is None:
        raise DataError(
            f"{path} is neither a store (store.json) nor a folder preprocessed by nnU-Net v2 or nnssl"
            f" (.b2nd with .pkl): make a store with 'umzoo prepare SOURCE --out {path}'"
        )
    return PreprocessedFolder(layout, only)
