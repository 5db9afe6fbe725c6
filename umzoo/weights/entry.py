"""A record of known weights: where they live, at which revision, under which licence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightsEntry:
    """Known weights under the name ``architecture.tag``.

    Attributes:
        name: ``architecture.tag``.
        location: a folder, or a Hub repository ``org/name``.
        revision: commit of the repository; None for a folder.
        licence: SPDX identifier.
        description: one line.
    """

    name: str
    location: str
    licence: str
    revision: str | None = None
    description: str = ""
