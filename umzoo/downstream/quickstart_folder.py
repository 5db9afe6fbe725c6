"""Makes sure that the tour writes only into a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path

from umzoo.config import Config
from umzoo.errors import ConfigError
from umzoo.files import read_json, replace_text

MARKER = "tour.json"
"""Says that the tour made the folder, and with which options."""


def claim(folder: Path, config: Config) -> None:
    """Take *folder* for a tour with the options *config*: a new or empty one, or that of the same tour, interrupted.

    Raises:
        ConfigError: if it holds anything else; nothing in it is touched.
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
    """Return what *marker* holds; one that cannot be read is that of no tour."""
    try:
        return read_json(marker)
    except ConfigError:
        return None
