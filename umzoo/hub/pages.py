"""Addresses of the Hub as a browser shows them; slashes in the names of branches are written ``%2F`` there."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from umzoo.errors import WeightsError
from umzoo.hub.access import PUBLIC_HUB
from umzoo.hub.released import Place

_PATH = re.compile(
    r"(?P<repository>[^/]+/[^/]+)"
    r"(?:/(?P<kind>resolve|blob|tree)/(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+)(?:/(?P<file>.+))?)?"
)


def place_on_hub(address: str) -> Place | None:
    """Return what *address* means if it is of the Hub: a repository, at a revision, or a file of it; else None.

    Raises:
        WeightsError: if it is a folder of a repository.
    """
    from huggingface_hub import constants

    hub = next((it for it in (constants.ENDPOINT, PUBLIC_HUB) if address.startswith(f"{it}/")), None)
    if hub is None:
        return None
    match = _PATH.fullmatch(urlsplit(address.removeprefix(hub)).path.strip("/"))
    if match is None:
        return None
    repository, revision, file = (unquote(match[name] or "") for name in ("repository", "revision", "file"))
    if match["kind"] == "tree" and file:
        raise WeightsError(
            f"{address!r} is a folder of {repository}: give the address of a file in it, or {repository}@{revision}"
        )
    if match["kind"] in ("resolve", "blob") and not file:
        return None
    return Place(repository, (file,) if file else (), revision or None)
