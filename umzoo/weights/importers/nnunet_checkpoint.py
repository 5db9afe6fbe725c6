"""Checkpoints of nnU-Net, which hold numbers of numpy, read without running pickled code."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from umzoo.errors import WeightsError

_KINDS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32")


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Return the content of nnU-Net's checkpoint *file*, on the CPU; pickled code is not run.

    Raises:
        WeightsError: if it is damaged, or holds more than tensors, plain values and numpy's numbers.
    """
    try:
        with torch.serialization.safe_globals(numpy_scalars()):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{file} cannot be read as a checkpoint of nnU-Net: {reason}") from None
    if not isinstance(content, dict):
        raise WeightsError(f"{file} is no checkpoint of nnU-Net: it holds a {type(content).__name__}")
    return content


def numpy_scalars() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return what ``torch.serialization.safe_globals`` needs to read numpy's booleans, integers and floats.

    Their constructor goes by one name in files written under numpy 1 and by another under numpy 2.
    """
    constructor: Any = np.float64(0).__reduce__()[0]
    dtypes = [type(np.dtype(kind)) for kind in (*_KINDS, "float64")]
    return [
        (constructor, "numpy.core.multiarray.scalar"),
        (constructor, "numpy._core.multiarray.scalar"),
        np.dtype,
        *dtypes,
    ]
