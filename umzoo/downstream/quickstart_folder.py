"""Check that the quickstart tour writes only into a folder that it made."""

from __future__ import annotations

import json
from pathlib import Path

from umzoo.config import Config
from umzoo.errors import ConfigError
from umzoo.files import read_json, replace_text

MARKER = "tour.json"
"""File that marks a folder made by the tour; it holds the tour's options."""


def claim(folder: Path, config: Config) -> None:
    """Reserve *folder* for a tour with the options *config*: it must be new, empty, or of an interrupted equal tour.

    Raises:
        ConfigError: if it holds anything else; its content is not changed.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: choose another --out")
    wanted = config.model_dump(mode="json")
    if folder.is_dir() and any(folder.iterdir()):
        marker = folder / MARKER
        if not marker.is_file():
            raise ConfigError(f"{folder} is not empty, and the tour did not make it: choose another --out")
        if _read(marker) != wanted:
            raise ConfigError(f"{folder} holds a tour with other options: remove it, or choose another --out")
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / MARKER, json.dumps(wanted, indent=1))


def _read(marker: Path) -> object:
    """Return the content of *marker*, or None if it cannot be read."""
    try:
        return read_json(marker)
    except ConfigError:
        return None
