"""The optional compiled loops."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import torch
from torch import Tensor


@functools.lru_cache(maxsize=1)
def kernels() -> Any | None:
    """Return :mod:`umzoo.corruptions.compiled`, or None if numba (``pip install umzoo[fast]``) is not installed."""
    if importlib.util.find_spec("numba") is None:
        return None
    return importlib.import_module("umzoo.corruptions.compiled")


def kernels_for(item: Tensor) -> Any | None:
    """Return the compiled loops if they can work on *item*: float32, contiguous, on the CPU."""
    fits = item.device.type == "cpu" and item.dtype == torch.float32 and item.is_contiguous()
    return kernels() if fits else None
