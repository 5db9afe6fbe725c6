"""Reads files of ``torch.save`` without PyTorch's unpickler: no pickled code is imported or called.

A separate process reads the pickle (:mod:`umzoo.pickles`) and returns the position of each tensor in the file. These
positions are checked here, as for a safetensors file, before the tensors are read.
"""

from __future__ import annotations

import logging
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from umzoo.errors import WeightsError, in_one_line
from umzoo.pickles.client import Inert, UnreadableError, decode, read_tensor_file

__all__ = ["Inert", "read_checkpoint", "read_pickled"]

log = logging.getLogger(__name__)

MAX_AXES = 32
MAX_EXPANDED = 2 << 30
"""Maximum bytes that tensors may need beyond their storages, as after ``Tensor.expand`` (strides of 0)."""
DTYPES = {
    name: getattr(torch, name)
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
} | {"complex64": torch.complex64, "complex128": torch.complex128}


def read_pickled(file: Path) -> Any:
    """Return the content of *file*, with its tensors on the CPU.

    NumPy numbers and arrays become Python numbers and lists. Objects of other classes (settings, schedulers) become
    :class:`Inert`, and the log names them.

    Raises:
        WeightsError: if it cannot be read.
    """
    try:
        found = read_tensor_file(file)
        with file.open("rb") as stream:
            tensors = _Tensors(stream, file.stat().st_size, found.get("places"))
            content = decode(found["content"], tensors.at)
    except (UnreadableError, OSError) as error:
        raise WeightsError(f"{file} cannot be read as a checkpoint: {in_one_line(error, 300)}") from None
    if passed := found.get("passed"):
        names = in_one_line(", ".join(map(str, passed)), 300)
        log.warning("%s also contains %s, which is skipped: loading it could run code", file.name, names)
    return content


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Return the content of the checkpoint *file*, which must be a dict; see :func:`read_pickled`.

    Raises:
        WeightsError: if it cannot be read, or contains something else.
    """
    content = read_pickled(file)
    if not isinstance(content, dict):
        what = f"an object, {content.name}" if isinstance(content, Inert) else f"a {type(content).__name__}"
        raise WeightsError(f"{file} contains {what}, expected a dict: save the network's state_dict()")
    return content


class _Tensors:
    """Tensors of *stream*, a file of *size* bytes, at *places*, which come from another process and are not trusted."""

    def __init__(self, stream: BinaryIO, size: int, places: Any) -> None:
        self.stream = stream
        self.places = places if isinstance(places, dict) else {}
        self._read: dict[str, Tensor] = {}
        self._expanded = 0
        if not all(_are_counts(place, 2) for place in self.places.values()):
            raise UnreadableError("the positions of its storages are invalid")
        if sum(length for _, length in self.places.values()) > size:
            raise UnreadableError("its storages are larger than the file: it is truncated or corrupted")

    def at(self, place: Any) -> Tensor:
        """Return the tensor at *place*: key, type, offset, shape and strides, in values."""
        if not isinstance(place, list) or len(place) != 5 or not _are_counts(place[2:3], 1):
            raise UnreadableError("the position of a tensor is invalid")
        key, kind, offset, shape, stride = place
        if not isinstance(kind, str) or kind not in DTYPES or not _are_counts(shape) or not _are_counts(stride):
            raise UnreadableError(
                f"a tensor has an invalid dtype, shape or stride: {in_one_line((kind, shape, stride), 80)}"
            )
        if len(shape) != len(stride) or len(shape) > MAX_AXES:
            raise UnreadableError(f"a tensor has {len(shape)} axes and {len(stride)} strides")
        values = self._values(key, DTYPES[kind])
        if not prod(shape):
            return torch.empty(shape, dtype=DTYPES[kind])
        last = offset + sum((count - 1) * step for count, step in zip(shape, stride, strict=True))
        self._expanded += max(prod(shape) - len(values), 0) * values.itemsize
        if last >= len(values) or self._expanded > MAX_EXPANDED:
            raise UnreadableError(
                f"a tensor of shape {tuple(shape)} reaches far beyond its storage of {len(values)} values"
            )
        return values.as_strided(shape, stride, offset)

    def _values(self, key: Any, dtype: torch.dtype) -> Tensor:
        raw = self._storage(key)
        return raw.ne(0) if dtype == torch.bool else raw[: len(raw) // dtype.itemsize * dtype.itemsize].view(dtype)

    def _storage(self, key: Any) -> Tensor:
        """The bytes of storage *key*, read once."""
        if not isinstance(key, str) or key not in self.places:
            raise UnreadableError("the storage of a tensor is missing")
        if key not in self._read:
            start, length = self.places[key]
            self._read[key] = torch.empty(length, dtype=torch.uint8)
            self.stream.seek(start)
            if self.stream.readinto(self._read[key].numpy().data) != length:  # type: ignore[attr-defined]
                raise UnreadableError("it is truncated")
        return self._read[key]


def _are_counts(value: Any, length: int | None = None) -> bool:
    counts = isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 48 for item in value)
    return counts and length in (None, len(value))
