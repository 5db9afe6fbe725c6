"""A safetensors file that is read once: what is checked is what is loaded.

Each tensor is read into memory of its own and hashed by another thread while the next one is read, so the sum costs
no second pass, and a file that changes meanwhile is found out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor
from typing_extensions import Self

from umzoo.errors import WeightsError
from umzoo.weights.header import Entry, read_header

REMEDY = "fetch or export it again"


class TensorFile:
    """An open safetensors file; iterate once to get its tensors by name, in the order of the file, on the CPU.

    Nothing is allocated that the header does not claim, and the header claims what the file's size allows.

    Args:
        file: the file.
        sha256: what the file's sum must be, in hexadecimal; None does not check it.

    Attributes:
        shapes: shape of each tensor, by name.

    Raises:
        WeightsError: if the file cannot be read, or its header is not as it must be. When iterating: if a tensor holds
            NaN or infinity, or the sum differs, which shows at the end only; drop what was read then.
    """

    def __init__(self, file: Path, sha256: str | None = None) -> None:
        self.file = file
        self._expected = sha256
        try:
            self._stream = file.open("rb", buffering=0)
        except OSError as error:
            raise WeightsError(f"{file} cannot be read: {error}") from None
        try:
            self._header, self._entries = read_header(self._stream, os.fstat(self._stream.fileno()).st_size)
        except (ValueError, OSError) as error:
            self._stream.close()
            raise WeightsError(f"{file} cannot be read as safetensors: {error}; {REMEDY}") from None
        self.shapes = {entry.name: entry.shape for entry in self._entries}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        digest, unusable = hashlib.sha256(self._header), []
        with ThreadPoolExecutor(1) as pool:
            hashing: Future[None] = pool.submit(lambda: None)
            for entry in self._entries:
                tensor, view = self._read(entry)
                hashing.result()
                hashing = pool.submit(digest.update, view)
                if not is_finite(tensor):
                    unusable.append(entry.name)
                yield entry.name, tensor
            hashing.result()
        self._check(digest.hexdigest(), unusable)

    def _read(self, entry: Entry) -> tuple[Tensor, memoryview]:
        tensor = torch.empty(entry.shape, dtype=entry.dtype, device="cpu")
        view = tensor.reshape(-1).view(torch.uint8).numpy().data
        done = 0
        try:
            while done < len(view):
                count = self._stream.readinto(view[done:])
                if not count:
                    raise WeightsError(f"{self.file} is cut off within {entry.name}: {REMEDY}")
                done += count
        except OSError as error:
            raise WeightsError(f"{self.file} cannot be read: {error}") from None
        return tensor, view

    def _check(self, found: str, unusable: list[str]) -> None:
        if self._expected is not None and found != self._expected:
            raise WeightsError(
                f"{self.file} was altered or damaged: expected sha256 {self._expected}, got {found}; {REMEDY}"
            )
        if unusable:
            raise WeightsError(
                f"{self.file} holds NaN or infinity in {unusable[0]}"
                f"{f' and {len(unusable) - 1} more tensors' if unusable[1:] else ''}: such weights are of no use"
            )


def is_finite(tensor: Tensor) -> bool:
    """Whether *tensor* holds neither NaN nor infinity."""
    if not tensor.is_floating_point():
        return True
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())
