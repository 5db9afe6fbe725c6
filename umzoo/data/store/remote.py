"""Remote packed stores, read through fsspec: ``https://``, ``s3://``, ``hf://datasets/...`` and others.

Index, table and targets are downloaded when a store is opened. A volume, or its copy at half the resolution, is
downloaded as one range of its shard when its first crop is read, and kept in the user's cache for later crops.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from umzoo.data.store.places import VOLUMES
from umzoo.data.store.reader import open_array
from umzoo.data.store.record import Triple
from umzoo.data.store.shards import TABLE, PackedStore, shard_name
from umzoo.data.store.targets import FILE as TARGETS
from umzoo.errors import DataError, in_one_line
from umzoo.files import user_cache, written_whole

LIMIT = "UMZOO_STORE_CACHE_GB"
"""Environment variable: GB of cached volumes per store; the oldest are deleted (default 100)."""
ATTEMPTS = 3
"""Maximum number of attempts to download a range."""
PAUSE = 0.1
"""Base of the pause between attempts in seconds; it grows by a factor of 4."""
FILES = ("store.json", "index.jsonl", TABLE)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?=[^/])")


class MissingError(DataError):
    """A file of a store is missing."""


def as_url(path: Path | str) -> str | None:
    """Return *path* as a URL if it is one, even if :class:`~pathlib.Path` removed one of its slashes; else None."""
    text = str(path).replace("\\", "/")
    return _URL.sub(r"\1://", text, count=1).rstrip("/") if _URL.match(text) else None


def located(path: Path) -> str:
    """Return *path* as a URL if it is one, otherwise as an absolute path."""
    return as_url(path) or str(path.resolve())


class RemoteStore(PackedStore):
    """A packed store at a URL.

    Args:
        url: of its folder.
        only: ids of the volumes to use; None is all.

    Raises:
        DataError: if it cannot be downloaded, or the package for its protocol is missing.
    """

    def __init__(self, url: str, only: Sequence[str] | None = None) -> None:
        self.url = url
        super().__init__(_fetch_index(url), only)

    def _open_array(self, name: str, shape: Triple) -> Any:
        file = self.path / VOLUMES / f"{name}.b2nd"
        if not file.is_file():
            self._fetch(self.place(name), file)
        return open_array(file, shape)

    def _fetch(self, entry: Any, file: Path) -> None:
        """Download an array to *file*."""
        start = int(entry["offset"])
        address = f"{self.url}/{shard_name(int(entry['shard']))}"
        content = _range(address, start, start + int(entry["length"]))
        if hashlib.sha256(content).hexdigest() != entry["sha256"].decode():
            raise ValueError(f"{address} is corrupted: the sha256 of the array does not match")
        _make_room(file.parent, len(content))
        with written_whole(file) as temporary:
            temporary.write_bytes(content)


def _fetch_index(url: str) -> Path:
    """Download the index, table and targets of the store at *url*; return their folder, named by URL and content."""
    found = {name: _range(f"{url}/{name}") for name in FILES}
    with suppress(MissingError):
        found[TARGETS] = _range(f"{url}/{TARGETS}")
    digest = hashlib.sha256(url.encode())
    for content in found.values():
        digest.update(hashlib.sha256(content).digest())
    folder = user_cache() / "stores" / digest.hexdigest()[:32]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(folder) as temporary:
            (temporary / VOLUMES).mkdir(parents=True)
            for name, content in found.items():
                (temporary / name).write_bytes(content)
    return folder


@lru_cache(maxsize=16)
def _file_system(url: str, process: int) -> Any:
    """The file system of *url*; one per *process*, as connections do not outlive a fork."""
    kind = url.partition("://")[0]
    try:
        import fsspec

        return fsspec.filesystem(kind, skip_instance_cache=True)
    except (ImportError, ValueError) as error:
        raise DataError(f"reading {url} requires a package for {kind}://: {in_one_line(error)}") from None


def _range(address: str, start: int | None = None, end: int | None = None) -> bytes:
    """Return the bytes *start* to *end* of *address*.

    Raises:
        MissingError: if it is missing.
        DataError: if they cannot be downloaded.
    """
    system = _file_system("/".join(address.split("/")[:3]), os.getpid())
    attempt = 1
    while True:
        try:
            content: bytes = system.cat_file(address, start=start, end=end)
            return content
        except FileNotFoundError:
            raise MissingError(f"{address} is missing: expected a store written by 'umzoo store pack'") from None
        except Exception as error:  # noqa: BLE001 - every file system raises errors of its own
            if attempt == ATTEMPTS:
                detail = f"{type(error).__name__}: {in_one_line(error)}"
                raise DataError(f"{address} cannot be downloaded: {detail}") from None
        time.sleep(PAUSE * 4**attempt)
        attempt += 1


def _make_room(folder: Path, needed: int) -> None:
    """Delete the oldest files of *folder* until *needed* more bytes are within the limit."""
    kept = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in folder.glob("*.b2nd"))
    excess = sum(size for _, size, _ in kept) + needed - float(os.environ.get(LIMIT, "100")) * 1e9
    for _, size, file in kept:
        if excess <= 0:
            return
        file.unlink(missing_ok=True)
        excess -= size
