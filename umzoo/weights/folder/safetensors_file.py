"""Reads a safetensors file once, and verifies exactly the bytes that are loaded.

Each tensor is read into its own memory, and another thread hashes it while the next tensor is read. So the checksum
needs no second pass, and a file that changes during the read is detected. A file that was verified before and has not
changed since (:mod:`umzoo.weights.folder.checksum_cache`) is memory-mapped instead, as in safetensors: its pages are
read on access, and changes to the tensors stay in this process. umzoo never writes into such a file, but replaces it.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor
from typing_extensions import Self

from umzoo.errors import WeightsError
from umzoo.weights.folder.checksum_cache import is_verified, remember
from umzoo.weights.folder.safetensors_header import REMEDY, Entry, open_with_header

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class _Digest:
    """A sha256 that another thread computes, in the order of the updates.

    Small blocks are handed over together with the next large one, because each handover costs more than hashing them.
    At most four large blocks wait, so memory is released soon after tensors move to another device.
    """

    LARGE, WAITING = 1 << 20, 4

    def __init__(self, start: bytes) -> None:
        self._digest = hashlib.sha256(start)
        self._pool = ThreadPoolExecutor(1)
        self._blocks: list[memoryview] = []
        self._jobs: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def update(self, block: memoryview) -> None:
        """Add *block*, which must not change before :meth:`hexdigest`."""
        self._blocks.append(block)
        if len(block) >= self.LARGE:
            self._hand_over(self.WAITING)

    def hexdigest(self) -> str:
        """Return the sum of all blocks."""
        self._hand_over(0)
        return self._digest.hexdigest()

    def _hand_over(self, waiting: int) -> None:
        self._jobs.append(self._pool.submit(self._hash, self._blocks))
        self._blocks = []
        while len(self._jobs) > waiting:
            self._jobs.popleft().result()

    def _hash(self, blocks: list[memoryview]) -> None:
        for block in blocks:
            self._digest.update(block)


class TensorFile:
    """An open safetensors file; iterate once to get its tensors by name, in file order, on the CPU.

    Only the memory that the header declares is allocated, and the header must agree with the file size.

    Args:
        file: the file.
        sha256: expected checksum of the file in hexadecimal; None skips the check.

    Attributes:
        shapes: shape of each tensor, by name.

    Raises:
        WeightsError: if the file cannot be read or its header is invalid. When iterating: if a tensor contains NaN or
            infinity, or the checksum differs. This is raised only at the end; discard the tensors read so far.
    """

    def __init__(self, file: Path, sha256: str | None = None) -> None:
        self.file = file
        self._expected = sha256
        self._stream, self._header, self._entries = open_with_header(file)
        self.shapes = {entry.name: entry.shape for entry in self._entries}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        before = os.fstat(self._stream.fileno())
        if self._expected is not None and is_verified(self.file, before, self._expected):
            yield from self._mapped()
            return
        unusable = []
        with _Digest(self._header) as digest:
            for entry in self._entries:
                tensor, view = self._read(entry)
                digest.update(view)
                if not is_finite(tensor):
                    unusable.append(entry.name)
                yield entry.name, tensor
            found = digest.hexdigest()
        self._check(found, unusable)
        if self._expected is not None:
            remember(self.file, before, os.fstat(self._stream.fileno()), found)

    def _mapped(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the tensors as views of the memory-mapped file; a tensor that cannot be mapped is read."""
        content = mmap.mmap(self._stream.fileno(), 0, access=mmap.ACCESS_COPY) if os.name == "posix" else None
        for entry in self._entries:
            count, place = math.prod(entry.shape), len(self._header) + entry.start
            dtype = DTYPES[entry.dtype]
            if content is None or count == 0 or place % dtype.itemsize:
                self._stream.seek(place)
                tensor, _ = self._read(entry)
            else:
                tensor = torch.frombuffer(content, dtype=dtype, count=count, offset=place).view(entry.shape)
            yield entry.name, tensor

    def _read(self, entry: Entry) -> tuple[Tensor, memoryview]:
        tensor = torch.empty(entry.shape, dtype=DTYPES[entry.dtype], device="cpu")
        view = tensor.reshape(-1).view(torch.uint8).numpy().data
        done = 0
        try:
            while done < len(view):
                count = self._stream.readinto(view[done:])
                if not count:
                    raise WeightsError(f"{self.file} is truncated within {entry.name}: {REMEDY}")
                done += count
        except OSError as error:
            raise WeightsError(f"{self.file} cannot be read: {error}") from None
        return tensor, view

    def _check(self, found: str, unusable: list[str]) -> None:
        if self._expected is not None and found != self._expected:
            raise WeightsError(
                f"checksum mismatch for {self.file}: expected sha256 {self._expected}, got {found}; {REMEDY}"
            )
        if unusable:
            raise WeightsError(
                f"{self.file} contains NaN or infinity in {unusable[0]}"
                f"{f' and {len(unusable) - 1} more tensors' if unusable[1:] else ''}: export an earlier checkpoint"
            )


def is_finite(tensor: Tensor) -> bool:
    """Whether *tensor* contains neither NaN nor infinity."""
    if not tensor.is_floating_point():
        return True
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())
