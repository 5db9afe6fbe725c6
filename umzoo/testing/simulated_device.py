"""A simulated accelerator: it computes real values on the CPU, and mixing its tensors with CPU tensors fails.

Its tensors are of the class :class:`Simulated`: their device is ``meta``, and they hold their values in an ordinary
tensor. Operations run on the CPU after a check of the devices of their operands, by the rule of accelerators: all must
be on the device, except CPU tensors without axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from umzoo.errors import UmzooError, in_one_line
from umzoo.testing.promises import ConformanceError, NotApplicableError, UnreachedError

DEVICE = torch.device("meta")
"""Device of simulated tensors."""
_CROSSING = {"aten::_to_copy", "aten::copy_"}
"""Operations that may have operands on both devices."""
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_unsafe_index"}
"""Operations whose second argument, the indices, may be on the CPU."""


class MixedDevicesError(RuntimeError):
    """An operation has operands on the CPU and on the device."""


class Simulated(Tensor):
    """A tensor on the simulated device, with its values in ``held``."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Simulated:
        """Return *held* as a tensor on the device."""
        made: Simulated = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            layout=held.layout, device=DEVICE, requires_grad=False,
        )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Run *operation* on the values."""
        return _run(operation, args, kwargs or {})

    def numpy(self, **options: Any) -> Any:
        """Raise an error, like tensors of other devices."""
        raise MixedDevicesError("a tensor of the device cannot become a NumPy array: call .cpu() first")

    def tolist(self) -> Any:
        """Return the values."""
        return self.held.tolist()  # type: ignore[no-untyped-call]

    def new_tensor(self, data: Any, *, dtype: Any = None, **options: Any) -> Tensor:  # type: ignore[override]
        """Return *data* on the device, by default with this data type."""
        return torch.tensor(data, dtype=dtype or self.dtype).to(DEVICE)

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_with_tensors(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_with_tensors(index), value)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Simulated({self.held!r})"


class _Factories(TorchDispatchMode):
    """Makes new tensors on the device if requested."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


class _Autocast(torch.autocast):
    """Autocast on the device as on the CPU."""

    def __init__(self, device_type: str, *args: Any, **options: Any) -> None:
        super().__init__("cpu" if device_type == DEVICE.type else device_type, *args, **options)


@contextmanager
def simulated_device() -> Iterator[torch.device]:
    """Yield a device that is not the CPU; ``tensor.to(device)`` and ``torch.zeros(..., device=device)`` work on it.

    Operations that mix it with the CPU raise :class:`MixedDevicesError`. Random numbers come from CPU generators.
    """
    with ExitStack() as changed:
        changed.enter_context(
            patch("umzoo.fields.seeded_generator", lambda _, seed: torch.Generator().manual_seed(seed))
        )
        changed.enter_context(patch("torch.autocast", _Autocast))
        for make in (torch.tensor, torch.as_tensor):
            changed.enter_context(patch.object(torch, make.__name__, partial(_made_then_moved, make)))
        changed.enter_context(_Factories())
        yield DEVICE


@contextmanager
def on_simulated_device(name: str) -> Iterator[torch.device]:
    """Yield a simulated device to check the component *name* on.

    Raises:
        ConformanceError: if it mixes the device with the CPU.
        NotApplicableError: if an operation cannot be simulated, or another promise is broken.
    """
    try:
        with simulated_device() as device:
            yield device
    except MixedDevicesError as error:
        raise ConformanceError(f"{name}: on a GPU, {error}") from error
    except ConformanceError as error:
        raise NotApplicableError("another promise is broken") from error
    except (UmzooError, NotApplicableError, UnreachedError):
        raise
    except Exception as error:
        raise NotApplicableError(f"cannot be simulated here: {in_one_line(error, 60)}") from error


def _made_then_moved(make: Callable[..., Tensor], *args: Any, device: Any = None, **options: Any) -> Tensor:
    """Call *make*, which does not use :class:`_Factories`, on the CPU, and move the result."""
    made = make(*args, **options)
    return made if device is None else made.to(device)


def _run(operation: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
    name = operation._schema.name
    tensors = [it for it in tree_flatten((args, options))[0] if isinstance(it, Tensor)]
    on_device = [it for it in tensors if isinstance(it, Simulated)]
    if any(it.device == DEVICE and not isinstance(it, Simulated) for it in tensors):
        raise NotImplementedError(f"{name} got a tensor of {DEVICE} that was not made by the simulation")
    may_differ = {id(it) for it in tree_flatten(args[1])[0]} if name in _INDEXING else set()
    strangers = [it for it in tensors if not isinstance(it, Simulated) and it.ndim and id(it) not in may_differ]
    if on_device and strangers and name not in _CROSSING:
        raise MixedDevicesError(
            f"{name} has operands on the device and on the CPU {tuple(strangers[0].shape)}: move them with .to(device)"
        )
    wanted = options.get("device")
    moved = bool(on_device) if wanted is None else torch.device(wanted) == DEVICE
    plain = {**options, "device": torch.device("cpu")} if wanted is not None else options
    inside, named = tree_map_only(Simulated, _held, (tuple(args), plain))
    result = operation(*inside, **named)
    if operation._schema.is_mutable:
        return _original(operation, args, options, result, moved)
    return tree_map_only(Tensor, Simulated, result) if moved else result


def _with_tensors(index: Any) -> Any:
    """Convert lists of numbers in *index* to CPU tensors; torch would make empty ``meta`` tensors."""
    if isinstance(index, list):
        return torch.tensor(index)
    return tuple(map(_with_tensors, index)) if isinstance(index, tuple) else index


def _held(tensor: Simulated) -> Tensor:
    return tensor.held


def _original(operation: Any, args: Sequence[Any], options: dict[str, Any], result: Any, moved: bool) -> Any:
    """Return the result of an in-place operation: its operand, or a new tensor."""
    changed: list[Any] = [
        options.get(it.name, args[place] if place < len(args) else None)
        for place, it in enumerate(operation._schema.arguments)
        if it.alias_info is not None and it.alias_info.is_write
    ]
    if not isinstance(result, Tensor):
        return changed[0] if result is None else tree_map_only(Tensor, Simulated, result) if moved else result
    return changed[0] if changed and isinstance(changed[0], Tensor) else result
