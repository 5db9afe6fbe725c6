"""A record of known weights: location, revision and license."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from umzoo.errors import WeightsError

PACKAGE = "package:"
"""Prefix of the location of weights in an installed package: ``package:MODULE/FOLDER``."""


@dataclass(frozen=True)
class WeightsEntry:
    """Known weights under the name ``architecture.tag``.

    Without *importer*, *location* is a weights folder or a repository of one. With *importer*, the weights have another
    project's format: they are downloaded and imported on first use, and cached.

    Attributes:
        name: ``architecture.tag``.
        location: a folder, a Hub repository ``org/name``, a folder ``package:MODULE/FOLDER`` of an installed package,
            or (with *importer*) a web address, possibly of an archive.
        license: SPDX identifier; ``other`` with *license_link*.
        revision: commit of the repository; None for a folder.
        description: one line.
        importer: name of the importer for the released files.
        files: required files of the repository; for an archive, the file or folder to import.
        sha256: checksum of the first of *files*, or of the file at the web address, if known.
        options: options of the importer other than ``tag``.
        license_link: link to the text of a license without an SPDX identifier.
        provenance: known facts on the training that are not in the files: fields of
    :class:`umzoo.weights.folder.info.Provenance`.
        modalities: modalities in training, such as ``ct`` and ``mr``; empty: those of *provenance*.
        regions: body regions, such as ``head``, ``chest``, ``abdomen`` or ``body``; empty: those of *provenance*.
        size: bytes of the file at the web address, if known; larger files are refused.
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
        """The part of the name after the architecture."""
        return self.name.partition(".")[2]


def folder_in_package(location: str) -> Path:
    """Return the folder of *location*, ``package:MODULE/FOLDER``.

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
