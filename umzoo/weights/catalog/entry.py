"""A record of known weights: where they live, at which revision, under which license."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from umzoo.errors import WeightsError

PACKAGE = "package:"
"""What the location of weights begins with that come with an installed package: ``package:MODULE/FOLDER``."""


@dataclass(frozen=True)
class WeightsEntry:
    """Known weights under the name ``architecture.tag``.

    Without *importer*, *location* is a weights folder or a repository of them. With it, another project released them
    in a form of its own: they are downloaded and imported when they are first asked for, and kept.

    Attributes:
        name: ``architecture.tag``.
        location: a folder, a Hub repository ``org/name``, a folder ``package:MODULE/FOLDER`` of an installed package,
            or (with *importer*) a web address, of an archive perhaps.
        license: SPDX identifier; ``other`` with *license_link*.
        revision: commit of the repository; None for a folder.
        description: one line.
        importer: name of the importer that reads what was released.
        files: files of the repository that are needed; in an archive, the file or folder to import.
        sha256: sum of the first of *files*, or of what is at the web address, where it is known.
        options: options of the importer, beside ``tag``.
        license_link: text of a license that has no SPDX identifier.
        provenance: what is known of their training and not in the files: fields of
            :class:`umzoo.weights.folder.info.Provenance`.
        modalities: what they were trained on, as ``ct`` and ``mr``; empty: those of *provenance*.
        regions: of the body, as ``head``, ``chest``, ``abdomen`` or ``body``; empty: those of *provenance*.
        size: bytes of what is at the web address, where they are known; more are not taken.
    """

    name: str
    location: str
    license: str
    revision: str | None = None
    description: str = ""
    importer: str = ""
    files: tuple[str, ...] = ()
    sha256: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    license_link: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    size: int = 0

    def __post_init__(self) -> None:
        for name in ("modalities", "regions"):
            object.__setattr__(self, name, getattr(self, name) or tuple(self.provenance.get(name, ())))

    @property
    def tag(self) -> str:
        """What follows the name of the architecture."""
        return self.name.partition(".")[2]


def folder_in_package(location: str) -> Path:
    """Return the folder that *location*, ``package:MODULE/FOLDER``, names.

    Raises:
        WeightsError: if no such package is installed, or *location* leads out of it.
    """
    module, _, inside = location.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"{location!r} needs the package '{module}', which is not installed")
    parts = Path(inside).parts
    if not parts or ".." in parts or Path(inside).is_absolute():
        raise WeightsError(f"{location!r} is not a place in a package: expected {PACKAGE}MODULE/FOLDER")
    return Path(next(iter(spec.submodule_search_locations))).joinpath(*parts)
