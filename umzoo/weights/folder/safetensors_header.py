"""The header of a safetensors file, read as strictly as the format allows.

The format (https://github.com/huggingface/safetensors, "Format"): the length of the header as eight bytes, a JSON
object with dtype, shape and place of each tensor, the tensors. Each byte after the header belongs to one tensor.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import FileIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from umzoo.errors import WeightsError
from umzoo.weights.folder.strict_json import strict_json

MAX_HEADER = 25_000_000
"""Bytes; the Hub refuses to read longer ones too."""
MAX_AXES, MAX_NAME = 8, 300
ITEM_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Bytes of one value, by dtype as the format spells it."""
REMEDY = "fetch or export it again"


@dataclass(frozen=True)
class Entry:
    """One tensor: dtype (as ``F32``), shape, and bytes from *start* to before *stop*, counted from the header's end."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def open_with_header(file: Path) -> tuple[FileIO, bytes, tuple[Entry, ...]]:
    """Open *file*; return it at its first tensor, unbuffered, with what :func:`read_header` returns.

    Raises:
        WeightsError: if it cannot be read, or its header is not as it must be.
    """
    try:
        stream = FileIO(file)
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error}") from None
    try:
        return stream, *read_header(stream, os.fstat(stream.fileno()).st_size)
    except (ValueError, OSError) as error:
        stream.close()
        raise WeightsError(f"{file} cannot be read as safetensors: {error}; {REMEDY}") from None


def read_header(stream: BinaryIO, size: int) -> tuple[bytes, tuple[Entry, ...]]:
    """Return the bytes of *stream* up to the first tensor, and the tensors in the order in which they lie there.

    Args:
        stream: a safetensors file, at its start.
        size: bytes in the file; no more is taken than it holds.

    Raises:
        ValueError: if the header is too long, cut off, ambiguous, or disagrees with *size*.
    """
    prefix = stream.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > size - 8:
        raise ValueError(f"its header ends after the file does, which has {size} bytes: it is truncated")
    if length > MAX_HEADER:
        raise ValueError(f"its header has {length} bytes, more than the {MAX_HEADER} that are read")
    text = stream.read(length)
    if len(text) < length:
        raise ValueError("it is truncated")
    content = strict_json(text)
    if not isinstance(content, dict):
        raise ValueError("its header is not JSON object")
    notes = content.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise ValueError("its __metadata__ is not a table of texts")
    entries = sorted((_entry(name, value) for name, value in content.items()), key=lambda it: (it.start, it.stop))
    _check_places(entries, size - 8 - length)
    return prefix + text, tuple(entries)


def _entry(name: str, value: Any) -> Entry:
    if not name.isprintable() or len(name) > MAX_NAME:
        raise ValueError(f"{_short(name)} is not a name of a tensor: expected at most {MAX_NAME} printable characters")
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{_short(name)} is not described by dtype, shape and data_offsets")
    dtype, shape, places = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        raise ValueError(f"{_short(name)} has dtype {_short(dtype)}, known are {', '.join(ITEM_SIZES)}")
    if not _are_counts(shape) or len(shape) > MAX_AXES:
        raise ValueError(f"{_short(name)} has shape {_short(shape)}, expected at most {MAX_AXES} counts")
    if not _are_counts(places) or len(places) != 2:
        raise ValueError(f"{_short(name)} has data_offsets {_short(places)}, expected two counts")
    start, stop = places
    if stop - start != prod(shape) * ITEM_SIZES[dtype]:
        raise ValueError(
            f"{_short(name)} {_short(shape)} of {dtype} does not fill the {stop - start} bytes it is given"
        )
    return Entry(name, dtype, tuple(shape), start, stop)


def _check_places(entries: list[Entry], size: int) -> None:
    """Refuse gaps and overlaps, and tensors that do not fill the *size* bytes after the header."""
    end = 0
    for entry in entries:
        if entry.start != end:
            kind = "overlaps the tensor before it" if entry.start < end else "leaves a gap before it"
            raise ValueError(f"{_short(entry.name)} {kind}: it begins at byte {entry.start}, expected {end}")
        end = entry.stop
    if end != size:
        raise ValueError(
            f"its tensors take {end} bytes, and {size} are there: it is truncated, or has more than tensors"
        )


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _short(value: Any) -> str:
    """*value* for a message, at most 80 characters long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
