"""Stand-ins for the objects of a pickle: no class of NumPy or PyTorch is created, and no name is imported.

A pickle is a program for a stack machine that calls the functions it names. Here it can only call those in this file.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from math import prod
from typing import Any, BinaryIO

NUMBERS = {
    "b1": "?",
    **{f"i{size}": code for size, code in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))},
    **{f"u{size}": code for size, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))},
    **{f"f{size}": code for size, code in ((2, "e"), (4, "f"), (8, "d"))},
}
"""NumPy's names of types, and their codes for ``struct``."""
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}
"""PyTorch's storage classes, and the types of their values."""
SIZES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1}
SIZES |= {"uint8": 1, "bool": 1, "complex64": 8, "complex128": 16}
MAX_ARRAY = 1_000_000
"""Maximum number of values of an array."""


class Passed:
    """Placeholder for an object of an unlisted class: it accepts any arguments and has no content."""

    name = "an object"

    def __new__(cls, *_: Any, **__: Any) -> Passed:
        """Create it from any arguments."""
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> Passed:
        """Stand for the result of a call."""
        return self

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None:
        """Accept the item of a list."""

    extend = add = update = append


class Storage:
    """Numbers elsewhere in the file, under *key*; *start* is the offset of a view."""

    def __init__(self, key: str, dtype: str, start: int = 0) -> None:
        self.key, self.dtype, self.start = key, dtype, start


class Tensor:
    """The position of a tensor's values in a storage, counted in values."""

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, dtype: str = "") -> None:
        if not isinstance(storage, Storage):
            raise pickle.UnpicklingError("it contains a tensor without a storage")
        self.place = [storage.key, dtype or storage.dtype, storage.start + offset, list(size), list(stride)]


class Named:
    """A type of PyTorch, by *name*."""

    def __init__(self, name: str) -> None:
        self.name = name


class Dtype:
    """numpy's type of numbers, by its name; *code* is empty for objects, texts and records."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        name = name if isinstance(name, str) else ""
        self.order, self.code = ">" if name.startswith(">") else "<", NUMBERS.get(name.lstrip("<>=|"), "")

    def __setstate__(self, state: Any) -> None:
        """Set the byte order; the other items would make it a record."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
            self.order = ">"

    def values(self, raw: Any, count: int) -> tuple[Any, ...] | None:
        """Return *count* numbers from *raw*; None if the type is not numeric."""
        if not self.code or not isinstance(raw, (bytes, bytearray)) or not 0 <= count <= MAX_ARRAY:
            return None
        return struct.unpack(f"{self.order}{count}{self.code}", raw)


class Array:
    """numpy's array, as nested lists in *content*."""

    content: Any = None
    count = 0

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, raw = state
        self.fill(raw, dtype, shape, bool(by_columns))

    def fill(self, raw: Any, dtype: Any, shape: Any, by_columns: bool) -> None:
        """Set the values from *raw*."""
        values = dtype.values(raw, prod(shape)) if isinstance(dtype, Dtype) else None
        if values is None:
            return
        strides = [prod(shape[:axis] if by_columns else shape[axis + 1 :]) for axis in range(len(shape))]
        self.content, self.count = _nested(values, shape, strides, 0) if values else [], len(values)


def _nested(values: Any, shape: Any, strides: Any, start: int) -> Any:
    if not shape:
        return values[start]
    return [_nested(values, shape[1:], strides[1:], start + item * strides[0]) for item in range(shape[0])]


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    values = dtype.values(raw, 1) if isinstance(dtype, Dtype) else None
    return Passed() if values is None else values[0]


def _reconstruct(*_: Any) -> Array:
    return Array()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.fill(raw, dtype, shape, order == "F")
    return array


def _encode(text: Any, encoding: Any = "latin1", *_: Any) -> bytes:
    """Bytes as old protocols write them; other encodings could take unlimited time."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it contains bytes in the encoding {str(encoding)[:40]!r}, expected latin1")
    return text.encode("latin1")


def _no_bytes(*arguments: Any) -> Any:
    return b"" if not arguments else Passed()


def _size(items: Any = ()) -> tuple[Any, ...]:
    return tuple(items)


def _device(*parts: Any) -> str:
    return ":".join(map(str, parts))


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    return Tensor(storage, offset, size, stride)


def _typed_tensor(storage: Any, offset: Any, size: Any, stride: Any, _: Any, __: Any, dtype: Any, *___: Any) -> Tensor:
    return Tensor(storage, offset, size, stride, dtype.name if isinstance(dtype, Named) else "")


def _parameter(data: Any, *_: Any) -> Any:
    return data


PLAIN: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): OrderedDict,
    **{
        (module, name): it
        for module in ("builtins", "__builtin__")
        for name, it in (("set", set), ("bytes", _no_bytes))
    },
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Dtype,
    **{
        (f"numpy.{core}.{module}", name): it
        for core in ("core", "_core")
        for module, name, it in (
            ("multiarray", "scalar", _scalar),
            ("multiarray", "_reconstruct", _reconstruct),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}
"""Names used by pickles of numbers, arrays and containers."""
TENSORS: dict[tuple[str, str], Any] = {
    ("torch", "Size"): _size,
    ("torch", "device"): _device,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
}
"""Additional names used by files of tensors."""


class Unpickler(pickle.Unpickler):
    """Reads a pickle of *known* names. Other names become :class:`Passed`, and are listed in *passed*.

    Args:
        stream: the pickle.
        known: allowed names.
        strict: refuse other names.
    """

    def __init__(self, stream: BinaryIO, known: Mapping[tuple[str, str], Any], strict: bool = False) -> None:
        super().__init__(stream, encoding="utf-8")
        self.known, self.strict = known, strict
        self.passed: set[str] = set()
        self.storages: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for *name* of *module*."""
        if (module, name) in self.known:
            return self.known[module, name]
        if self.strict:
            raise pickle.UnpicklingError(f"it contains {module[:80]}.{name[:80]}, which is not plain data")
        if module.partition(".")[0] == "torch" and name in STORAGES:
            return Named(STORAGES[name])
        if module == "torch" and name in SIZES:
            return Named(name)
        self.passed.add(f"{module[:80]}.{name[:80]}")
        return type("Passed", (Passed,), {"name": f"{module[:80]}.{name[:80]}"})

    def persistent_load(self, pid: Any) -> Storage:
        """Return the storage of *pid*: ``("storage", class, key, device, values)``, possibly with a view."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], Named):
            raise pickle.UnpicklingError("it refers to something that is not a storage")
        key, view = str(pid[2]), pid[5] if len(pid) > 5 else None
        self.storages.setdefault(key, pid[1].name)
        return Storage(key, pid[1].name, 0 if view is None else int(view[1]))
