"""What ``torch.save`` wrote, read without running what is pickled in it."""

from __future__ import annotations

import codecs
import logging
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import torch

from umzoo.errors import WeightsError, in_one_line

log = logging.getLogger(__name__)

_KINDS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32")
_UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, TypeError, AttributeError, KeyError, IndexError)
"""What PyTorch raises for a damaged file, besides errors of pickle."""
_HARMLESS: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): codecs.encode,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}
"""What a file of tensors names, by module and name."""


class Inert:
    """Stands for an object of a class that is not on the list: made of anything, and holding nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> Inert:
        """Stand for what a call gives."""
        return self

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None:
        """Take a list's item."""

    def extend(self, _: Any) -> None:
        """Take a list's items."""


def read_pickled(file: Path) -> Any:
    """Return what *file* holds, with its tensors on the CPU; nothing that is pickled in it is imported or called.

    PyTorch's own ``weights_only=True`` reads most files. Where it refuses, because a file also holds objects of other
    classes (settings, schedulers), these come as :class:`Inert`, and the log names them.

    Raises:
        WeightsError: if it cannot be read.
    """
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return _read_restricted(file)
    except _UNREADABLE as error:
        raise _unreadable(file, error) from None


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Return the content of the checkpoint *file*, which must be a dict; see :func:`read_pickled`.

    Raises:
        WeightsError: if it cannot be read, or holds something else.
    """
    content = read_pickled(file)
    if not isinstance(content, dict):
        raise WeightsError(f"{file} is no checkpoint of nnU-Net: it holds a {type(content).__name__}")
    return content


def _read_restricted(file: Path) -> Any:
    skipped: set[str] = set()
    allowed = _HARMLESS | {(place.rpartition(".")[0], "scalar"): scalar for scalar, place in _scalar_constructors()}
    allowed |= {("numpy", "dtype"): np.dtype}

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in allowed:
                return allowed[module, name]
            if module == "torch" and isinstance(dtype := vars(torch).get(name), torch.dtype):
                return dtype
            skipped.add(f"{module}.{name}")
            return type(name.rpartition(".")[2], (Inert,), {})

    def load(stream: BinaryIO, **options: Any) -> Any:
        return Unpickler(stream, **options).load()

    restricted: Any = SimpleNamespace(Unpickler=Unpickler, load=load, __name__="restricted")
    try:
        content = torch.load(file, map_location="cpu", weights_only=False, pickle_module=restricted)
    except (*_UNREADABLE, pickle.UnpicklingError) as error:
        raise _unreadable(file, error) from None
    if skipped:
        log.warning("%s also holds %s, passed over: reading it could run code", file.name, ", ".join(sorted(skipped)))
    return content


def _unreadable(file: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{file} cannot be read as a checkpoint of tensors: {in_one_line(error, 200)}")


def _scalar_constructors() -> list[tuple[Callable[..., Any], str]]:
    """The constructor of numpy's numbers, by the names it has in files of numpy 1 and of numpy 2."""
    constructor: Any = np.float64(0).__reduce__()[0]
    return [(constructor, "numpy.core.multiarray.scalar"), (constructor, "numpy._core.multiarray.scalar")]


def _numpy_scalars() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What ``torch.serialization.safe_globals`` needs to read numpy's booleans, integers and floats."""
    dtypes = [type(np.dtype(kind)) for kind in (*_KINDS, "float64")]
    return [*_scalar_constructors(), np.dtype, *dtypes]
