"""Strict reader for the header of a safetensors file.

The format (https://github.com/huggingface/safetensors, "Format"): the header length in eight bytes, a JSON object with
dtype, shape and byte offsets of each tensor, then the tensors. Each byte after the header belongs to one tensor.
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
"""Maximum header size in bytes; the Hub refuses longer headers too."""
MAX_AXES, MAX_NAME = 8, 300
ITEM_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Bytes per value for each dtype, as named in the format."""
REMEDY = "download or export it again"


@dataclass(frozen=True)
class Entry:
    """One tensor: dtype such as ``F32``, shape, and bytes from *start* up to *stop* (exclusive) after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def open_with_header(file: Path) -> tuple[FileIO, bytes, tuple[Entry, ...]]:
    """Open *file* unbuffered; return the stream, positioned at the first tensor, and the result of :func:`read_header`.

    Raises:
        WeightsError: if it cannot be read or its header is invalid.
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
    """Return the bytes of *stream* up to the first tensor, and the tensors in file order.

    Args:
        stream: a safetensors file, positioned at its start.
        size: size of the file in bytes; the header must agree with it.

    Raises:
        ValueError: if the header is too long, truncated, ambiguous, or does not agree with *size*.
    """
    prefix = stream.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > size - 8:
        raise ValueError(f"the file is truncated: it has {size} bytes, less than its header declares")
    if length > MAX_HEADER:
        raise ValueError(f"the header has {length} bytes, the maximum is {MAX_HEADER}")
    text = stream.read(length)
    if len(text) < length:
        raise ValueError("the file is truncated")
    content = strict_json(text)
    if not isinstance(content, dict):
        raise ValueError("the header is not a JSON object")
    notes = content.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise ValueError("__metadata__ is not a JSON object of strings")
    entries = sorted((_entry(name, value) for name, value in content.items()), key=lambda it: (it.start, it.stop))
    _check_places(entries, size - 8 - length)
    return prefix + text, tuple(entries)


def _entry(name: str, value: Any) -> Entry:
    if not name.isprintable() or len(name) > MAX_NAME:
        raise ValueError(f"{_short(name)} is not a tensor name: expected at most {MAX_NAME} printable characters")
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{_short(name)} does not have exactly the keys dtype, shape and data_offsets")
    dtype, shape, places = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        raise ValueError(f"{_short(name)} has dtype {_short(dtype)}, expected one of {', '.join(ITEM_SIZES)}")
    if not _are_counts(shape) or len(shape) > MAX_AXES:
        raise ValueError(f"{_short(name)} has shape {_short(shape)}, expected at most {MAX_AXES} non-negative integers")
    if not _are_counts(places) or len(places) != 2:
        raise ValueError(f"{_short(name)} has data_offsets {_short(places)}, expected two non-negative integers")
    start, stop = places
    if stop - start != prod(shape) * ITEM_SIZES[dtype]:
        raise ValueError(
            f"{_short(name)} with shape {_short(shape)} and dtype {dtype} does not match its size of"
            f" {stop - start} bytes"
        )
    return Entry(name, dtype, tuple(shape), start, stop)


def _check_places(entries: list[Entry], size: int) -> None:
    """Refuse gaps and overlaps between tensors, and tensors that do not fill the *size* bytes after the header."""
    end = 0
    for entry in entries:
        if entry.start != end:
            kind = "overlaps the previous tensor" if entry.start < end else "leaves a gap after the previous tensor"
            raise ValueError(f"{_short(entry.name)} {kind}: it starts at byte {entry.start}, expected {end}")
        end = entry.stop
    if end != size:
        raise ValueError(
            f"the tensors need {end} bytes, but the file has {size}: it is truncated or contains extra data"
        )


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _short(value: Any) -> str:
    """``repr`` of *value* for a message, shortened to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
