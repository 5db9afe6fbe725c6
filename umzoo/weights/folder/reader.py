"""A weights folder, read without its tensors and without torch: its files, ``config.json``, the card and headers.

Reading is strict: what is missing, altered or of an unknown format is an error.
"""

from __future__ import annotations

import os
from pathlib import Path

from umzoo.errors import ConfigError, WeightsError, in_one_line
from umzoo.files import sha256
from umzoo.weights.folder.info import FORMAT, WeightsInfo
from umzoo.weights.folder.safetensors_header import REMEDY, open_with_header
from umzoo.weights.folder.strict_json import own_file, strict_json

CONFIG, CARD, MODEL = "config.json", "README.md", "model.safetensors"
HEAD, PRETEXT, SIGNATURE = "head.safetensors", "pretext.safetensors", "model.sig"
FILES = (CONFIG, CARD, MODEL, HEAD, PRETEXT, SIGNATURE)
MAX_CONFIG, MAX_CARD = 4 << 20, 1 << 20
"""Bytes of ``config.json`` and of the card that are read."""


def read_card(folder: Path) -> str:
    """Return the card of the weights in *folder*; empty if there is none.

    Raises:
        WeightsError: if it is a link out of the folder, or longer than a card is.
    """
    if not os.path.lexists(folder / CARD):
        return ""
    file = own_file(folder, CARD)
    if file.stat().st_size > MAX_CARD:
        raise WeightsError(f"{file} has more than {MAX_CARD} bytes: a model card is a text")
    return file.read_text(encoding="utf-8")


def read_info(folder: Path | str) -> WeightsInfo:
    """Return what the weights in *folder* say of themselves.

    Raises:
        WeightsError: if *folder* is no weights folder, is damaged, or has a format this version does not know.
    """
    if not (Path(folder) / CONFIG).is_file():
        raise WeightsError(f"{folder} is not a weights folder (no {CONFIG}): make one with 'umzoo export RUN FOLDER'")
    file = own_file(folder, CONFIG)
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_CONFIG + 1)
        if len(text) > MAX_CONFIG:
            raise ValueError(f"it has more than {MAX_CONFIG} bytes")
        content = strict_json(text)
    except (ValueError, OSError) as error:
        raise WeightsError(f"{file} is damaged: {in_one_line(error)}") from None
    number = content.get("format") if isinstance(content, dict) else None
    if type(number) is not int or number < 1:
        raise WeightsError(f"{file} was not written by umzoo: it has no format number")
    if number > FORMAT:
        raise WeightsError(f"{folder} has weights format {number}, this umzoo reads up to {FORMAT}: update umzoo")
    try:
        return WeightsInfo.parse(content)
    except ConfigError as error:
        raise WeightsError(f"{file}: {in_one_line(error)}") from None


def read_shapes(folder: Path | str, name: str = MODEL) -> dict[str, tuple[int, ...]]:
    """Return the shapes that the header of file *name* declares; no tensor is read.

    Raises:
        WeightsError: if the file is missing or its header damaged.
    """
    stream, _, entries = open_with_header(own_file(folder, name))
    stream.close()
    return {entry.name: entry.shape for entry in entries}


def checked_file(folder: Path | str, name: str) -> Path:
    """Return the path of file *name* in *folder* once its sha256 agrees with config.json.

    Raises:
        WeightsError: if it is missing, altered, or a link out of the folder.
    """
    file, recorded = own_file(folder, name), recorded_sha256(folder, name)
    if (found := sha256(file)) != recorded:
        raise WeightsError(f"{file} was altered or damaged: expected sha256 {recorded}, got {found}; {REMEDY}")
    return file


def recorded_sha256(folder: Path | str, name: str) -> str:
    """Return the sha256 that config.json in *folder* records of file *name*.

    Raises:
        WeightsError: if it records none, or as :func:`read_info`.
    """
    recorded = read_info(folder).files.get(name)
    if recorded is None:
        raise WeightsError(f"{folder}/{CONFIG} records no sha256 of {name}: {REMEDY}")
    return recorded
