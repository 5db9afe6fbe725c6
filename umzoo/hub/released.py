"""Files that other projects released, in a repository of the Hub or at a web address, brought here and checked."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from umzoo.errors import WeightsError, in_one_line
from umzoo.files import sha256
from umzoo.hub.access import PUBLIC_HUB, Access
from umzoo.hub.errors import one_line
from umzoo.hub.pull import fetch_file
from umzoo.hub.retry import retry
from umzoo.hub.web import download, file_name, require_public_name

log = logging.getLogger(__name__)

MAX_RATIO, MAX_MEMBERS = 20, 10_000
"""How much larger than an archive its files may be, and how many; tensors shrink little."""
_HUB_FILE = re.compile(r"(?P<repository>[^/]+/[^/]+)(?:/(?:resolve|blob)/(?P<revision>[^/]+)/(?P<file>.+))?")


@dataclass(frozen=True)
class Place:
    """Where another project put files.

    Attributes:
        location: a Hub repository ``org/name``, or a web address.
        files: files of the repository, all if empty; in an archive, the file or folder that is meant.
        revision: commit, tag or branch of the repository.
        sha256: sum of the first file, or of what is at the web address, if it is known.
        size: bytes of what is at the web address, if they are known.
    """

    location: str
    files: tuple[str, ...] = ()
    revision: str | None = None
    sha256: str = ""
    size: int = 0

    @property
    def on_the_web(self) -> bool:
        """Whether it is a web address."""
        return self.location.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Released:
    """What was brought here: a file or folder for an importer, and the *revision* (commit) it was taken from."""

    source: Path
    revision: str = ""


def place_of_address(address: str) -> Place:
    """Return what a web *address* means; pages and files of the Hub are taken from the Hub.

    Raises:
        WeightsError: if it is no address of a file.
    """
    from huggingface_hub import constants

    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError as error:
        raise WeightsError(f"{address[:200]!r} is no web address: {in_one_line(error)}") from None
    for hub in (PUBLIC_HUB, constants.ENDPOINT):
        path = unquote(parts.path.strip("/"))
        if address.startswith(f"{hub}/") and (match := _HUB_FILE.fullmatch(path)):
            files = (match["file"],) if match["file"] else ()
            return Place(match["repository"], files, match["revision"])
    if parts.username is not None or parts.password is not None:
        raise WeightsError(f"the address of {host} has a name or password in it, which would be recorded: leave it out")
    if not host or parts.path in ("", "/") or not address.isprintable():
        raise WeightsError(f"{address[:200]!r} is no address of a file: expected https://HOST/PATH/FILE")
    return Place(address)


@contextmanager
def brought(place: Place, access: Access) -> Iterator[Released]:
    """Yield the files of *place*, here; those of a web address are gone afterwards, those of the Hub stay in its cache.

    Raises:
        WeightsError: if they cannot be had, arrive damaged, or are others than *place* records.
    """
    if not place.on_the_web:
        yield _from_hub(place, access)
        return
    if access.offline:
        raise WeightsError(f"{place.location} is not here, and no request may leave: load it once with a connection")
    with tempfile.TemporaryDirectory(prefix="umzoo-") as folder:
        yield Released(_from_web(place, Path(folder), access))


def _from_hub(place: Place, access: Access) -> Released:
    if not place.files:
        with one_line(f"{place.location} could not be had from the Hub"):
            folder = retry(lambda: access.snapshot(place.location, place.revision), place.location)
        return Released(folder, folder.name)
    first = fetch_file(place.location, place.files[0], place.revision, access)
    folder = first.parents[len(Path(place.files[0]).parts) - 1]
    for name in place.files[1:]:
        fetch_file(place.location, name, folder.name, access)
    _require_recorded(first, place)
    return Released(first if len(place.files) == 1 else folder, folder.name)


def _from_web(place: Place, folder: Path, access: Access) -> Path:
    name = file_name(place.location)
    file = folder / name
    with one_line(f"{place.location} could not be had"):
        require_public_name(place.location, access.private)
        retry(lambda: download(place.location, file, access.private, place.size), name)
    _require_recorded(file, place)
    return _unpack(file, place.files) if name.endswith(".zip") else file


def _unpack(file: Path, wanted: Sequence[str]) -> Path:
    """What is meant of archive *file*: the path *wanted* in it, wherever it lies, or all."""
    folder = file.with_name("unpacked")
    try:
        _require_small(file)
        shutil.unpack_archive(file, folder, "zip")
    except (shutil.ReadError, zipfile.BadZipFile, OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{file.name} is no archive that can be unpacked: {in_one_line(error)}") from None
    if not wanted:
        return folder
    found = sorted(folder.rglob(wanted[0]))
    if len(found) != 1:
        raise WeightsError(f"{file.name} holds {wanted[0]} {len(found)} times, expected once")
    return found[0]


def _require_small(file: Path) -> None:
    """Refuse an archive that would become far larger than it is; no member yields more than its header says."""
    with zipfile.ZipFile(file) as archive:
        sizes = [member.file_size for member in archive.infolist()]
    most = MAX_RATIO * file.stat().st_size
    if len(sizes) > MAX_MEMBERS or sum(sizes) > most:
        raise ValueError(
            f"its {len(sizes):,} files would have {sum(sizes):,} bytes, and at most {MAX_MEMBERS:,} of {most:,} bytes"
            " are taken"
        )
    if sum(sizes) > (free := shutil.disk_usage(file.parent).free):
        raise ValueError(f"its files would have {sum(sizes):,} bytes, and there is room for {free:,}")


def _require_recorded(file: Path, place: Place) -> None:
    if place.sha256 and (found := sha256(file)) != place.sha256:
        raise WeightsError(
            f"{file.name} of {place.location} is not the file that was recorded (expected sha256 {place.sha256},"
            f" got {found}): its owner may have replaced it; if you trust it, use 'umzoo import' with its address"
        )
