"""Parsing of web addresses: pages of the Hub as a browser shows them, and files elsewhere.

Slashes in the names of branches are written ``%2F`` in addresses of the Hub.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from umzoo.errors import WeightsError, in_one_line
from umzoo.hub.client import PUBLIC_HUB

_PATH = re.compile(
    r"(?P<repository>[^/]+/[^/]+)"
    r"(?:/(?P<kind>resolve|blob|tree)/(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+)(?:/(?P<inside>.+))?)?"
)


@dataclass(frozen=True)
class Place:
    """The location of another project's files.

    Attributes:
        location: a Hub repository ``org/name``, or a web address.
        files: files of the repository, all if empty; for an archive, the file or folder in it.
        revision: commit, tag or branch of the repository.
        sha256: checksum of the first file, or of the file at the web address, if known.
        size: bytes of the file at the web address, if known.
        folder: folder of the repository, or empty for the whole repository.
    """

    location: str
    files: tuple[str, ...] = ()
    revision: str | None = None
    sha256: str = ""
    size: int = 0
    folder: str = ""

    @property
    def on_the_web(self) -> bool:
        """Whether it is a web address."""
        return self.location.startswith(("http://", "https://"))


def place_of_address(address: str) -> Place:
    """Return the place at a web *address*; pages, folders and files of the Hub become Hub repositories.

    Raises:
        WeightsError: if it is not an address of a file.
    """
    from huggingface_hub import constants

    try:
        parts = urlsplit(address)
        host = parts.hostname
        if "[" in parts.netloc:
            ip_address(host or "")  # Python 3.10 does not check it
    except ValueError as error:
        raise WeightsError(f"{address[:200]!r} is not a web address: {in_one_line(error)}") from None
    if parts.username is not None or parts.password is not None:
        raise WeightsError(
            f"the address of {host} contains a user name or password, which would be recorded: leave it out"
        )
    for hub in (constants.ENDPOINT, PUBLIC_HUB):
        if address.startswith(f"{hub}/") and (place := _on_hub(parts.path[len(urlsplit(hub).path) :])):
            return place
    if not host or parts.path in ("", "/") or not address.isprintable():
        raise WeightsError(f"{address[:200]!r} is not an address of a file: expected https://HOST/PATH/FILE")
    return Place(address)


def _on_hub(path: str) -> Place | None:
    """The repository, or its file or folder, at *path* of the Hub; None if there is none."""
    match = _PATH.fullmatch(path.strip("/"))
    if match is None:
        return None
    repository, revision, inside = (unquote(match[name] or "") for name in ("repository", "revision", "inside"))
    if ".." in inside.split("/") or not f"{revision}{inside}".isprintable():
        raise WeightsError(f"{in_one_line(path, 200)!r} leads out of {repository}: give the address of a file in it")
    if match["kind"] in ("resolve", "blob"):
        return Place(repository, (inside,), revision) if inside else None
    return Place(repository, revision=revision or None, folder=inside)
