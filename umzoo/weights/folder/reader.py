"""Reads a weights folder without its tensors and without torch: its files, ``config.json``, the card and headers.

Reading is strict: a missing or modified file or an unknown format is an error.
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
"""Maximum sizes of ``config.json`` and of the card in bytes."""


def read_card(folder: Path) -> str:
    """Return the card of the weights in *folder*; empty if there is none.

    Raises:
        WeightsError: if it is a link out of the folder, or larger than ``MAX_CARD``.
    """
    if not os.path.lexists(folder / CARD):
        return ""
    file = own_file(folder, CARD)
    if file.stat().st_size > MAX_CARD:
        raise WeightsError(f"{file} has more than {MAX_CARD} bytes, the maximum for a model card: shorten it")
    return file.read_text(encoding="utf-8")


def read_info(folder: Path | str) -> WeightsInfo:
    """Return the contents of ``config.json`` in *folder*.

    Raises:
        WeightsError: if *folder* is not a weights folder, its ``config.json`` is corrupted, or this version does not
            know its format.
    """
    if not (Path(folder) / CONFIG).is_file():
        raise WeightsError(f"{folder} is not a weights folder (no {CONFIG}): create one with 'umzoo export RUN FOLDER'")
    file = own_file(folder, CONFIG)
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_CONFIG + 1)
        if len(text) > MAX_CONFIG:
            raise ValueError(f"it has more than {MAX_CONFIG} bytes")
        content = strict_json(text)
    except (ValueError, OSError) as error:
        raise WeightsError(f"{file} is corrupted: {in_one_line(error)}; {REMEDY}") from None
    number = content.get("format") if isinstance(content, dict) else None
    if type(number) is not int or number < 1:
        raise WeightsError(f"{file} has no format number: it was not written by umzoo; give a folder of 'umzoo export'")
    if number > FORMAT:
        raise WeightsError(
            f"{folder} has weights format {number}, but this umzoo supports up to {FORMAT}: update umzoo"
        )
    try:
        return WeightsInfo.parse(content)
    except ConfigError as error:
        raise WeightsError(f"{file}: {in_one_line(error)}") from None


def read_shapes(folder: Path | str, name: str = MODEL) -> dict[str, tuple[int, ...]]:
    """Return the tensor shapes from the header of file *name*, without reading the tensors.

    Raises:
        WeightsError: if the file is missing or its header is corrupted.
    """
    stream, _, entries = open_with_header(own_file(folder, name))
    stream.close()
    return {entry.name: entry.shape for entry in entries}


def checked_file(folder: Path | str, name: str) -> Path:
    """Return the path of file *name* in *folder* after checking its sha256 against config.json.

    Raises:
        WeightsError: if it is missing, its checksum differs, or it is a link out of the folder.
    """
    file, recorded = own_file(folder, name), recorded_sha256(folder, name)
    if (found := sha256(file)) != recorded:
        raise WeightsError(f"checksum mismatch for {file}: expected sha256 {recorded}, got {found}; {REMEDY}")
    return file


def recorded_sha256(folder: Path | str, name: str) -> str:
    """Return the sha256 of file *name* that config.json in *folder* records.

    Raises:
        WeightsError: if none is recorded, or as :func:`read_info`.
    """
    recorded = read_info(folder).files.get(name)
    if recorded is None:
        raise WeightsError(f"{folder}/{CONFIG} has no sha256 for {name}: {REMEDY}")
    return recorded
