"""The optional compiled loops."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
from typing import Any

import torch
from torch import Tensor

from umzoo.errors import in_one_line

log = logging.getLogger(__name__)


@functools.lru_cache(maxsize=8)
def kernels(module: str) -> Any | None:
    """Return ``umzoo.<module>``, or None if numba (``pip install umzoo[fast]``) cannot be used."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        return importlib.import_module(f"umzoo.{module}")
    except (ImportError, RuntimeError) as error:
        log.warning("numba cannot be used, %s on the CPU will be slower: %s", module, in_one_line(error))
        return None


def kernels_for(item: Tensor, module: str) -> Any | None:
    """Return the loops of ``umzoo.<module>`` if they can work on *item*: float32, contiguous, on the CPU."""
    fits = item.device.type == "cpu" and item.dtype == torch.float32 and item.is_contiguous()
    return kernels(module) if fits else None
