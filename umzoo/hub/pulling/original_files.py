"""Downloads and checks files of other projects, from a repository of the Hub or a web address."""

from __future__ import annotations

import logging
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from umzoo.errors import WeightsError, in_one_line
from umzoo.files import sha256
from umzoo.hub.client import Access
from umzoo.hub.errors import one_line
from umzoo.hub.pulling.addresses import Place
from umzoo.hub.pulling.http_download import download, file_name, require_public_name
from umzoo.hub.pulling.pull import fetch_file
from umzoo.hub.retry import retry

log = logging.getLogger(__name__)

MAX_RATIO, MAX_MEMBERS = 20, 10_000
"""Maximum expansion of an archive, and maximum number of its files; tensors compress little."""


@dataclass(frozen=True)
class Released:
    """A downloaded file or folder for an importer, and its *revision* (commit)."""

    source: Path
    revision: str = ""


@contextmanager
def brought(place: Place, access: Access) -> Iterator[Released]:
    """Download and yield the files of *place*; files of a web address are temporary, those of the Hub stay cached.

    Raises:
        WeightsError: if they cannot be downloaded, are damaged, or differ from the checksum in *place*.
    """
    if not place.on_the_web:
        yield _from_hub(place, access)
        return
    if access.offline:
        raise WeightsError(f"{place.location} is not cached, and no request is allowed: load it once with a connection")
    with tempfile.TemporaryDirectory(prefix="umzoo-") as folder:
        yield Released(_from_web(place, Path(folder), access))


def _from_hub(place: Place, access: Access) -> Released:
    if not place.files:
        with one_line(f"{place.location} could not be downloaded from the Hub"):
            root = retry(lambda: access.snapshot(place.location, place.revision, place.folder), place.location)
        if not (folder := root / place.folder).is_dir():
            raise WeightsError(f"{place.location} has no folder {place.folder!r} at {place.revision}")
        return Released(folder, root.name)
    first = fetch_file(place.location, place.files[0], place.revision, access)
    folder = first.parents[len(Path(place.files[0]).parts) - 1]
    for name in place.files[1:]:
        fetch_file(place.location, name, folder.name, access)
    _require_recorded(first, place)
    return Released(first if len(place.files) == 1 else folder, folder.name)


def _from_web(place: Place, folder: Path, access: Access) -> Path:
    name = file_name(place.location)
    file = folder / name
    with one_line(f"{place.location} could not be downloaded"):
        require_public_name(place.location, access.private)
        retry(lambda: download(place.location, file, access.private, place.size), name)
    _require_recorded(file, place)
    return _unpack(file, place.files) if name.endswith(".zip") else file


def _unpack(file: Path, wanted: Sequence[str]) -> Path:
    """Unpack archive *file* and return the path *wanted* in it, at any depth, or the whole folder."""
    folder = file.with_name("unpacked")
    try:
        _require_small(file)
        shutil.unpack_archive(file, folder, "zip")
    except (shutil.ReadError, zipfile.BadZipFile, OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{file.name} is not an archive that can be unpacked: {in_one_line(error)}") from None
    if not wanted:
        return folder
    found = sorted(folder.rglob(wanted[0]))
    if len(found) != 1:
        raise WeightsError(f"{file.name} holds {wanted[0]} {len(found)} times, expected once")
    return found[0]


def _require_small(file: Path) -> None:
    """Refuse an archive that would expand too much; no member yields more bytes than its header says."""
    with zipfile.ZipFile(file) as archive:
        sizes = [member.file_size for member in archive.infolist()]
    most = MAX_RATIO * file.stat().st_size
    if len(sizes) > MAX_MEMBERS or sum(sizes) > most:
        raise ValueError(
            f"its {len(sizes):,} files would have {sum(sizes):,} bytes, and at most {MAX_MEMBERS:,} of {most:,} bytes"
            " are allowed"
        )
    if sum(sizes) > (free := shutil.disk_usage(file.parent).free):
        raise ValueError(f"its files would have {sum(sizes):,} bytes, and there is room for {free:,}")


def _require_recorded(file: Path, place: Place) -> None:
    if place.sha256 and (found := sha256(file)) != place.sha256:
        raise WeightsError(
            f"{file.name} of {place.location} is not the file that was recorded (expected sha256 {place.sha256},"
            f" got {found}): its owner may have replaced it; if you trust it, use 'umzoo import' with its address"
        )
