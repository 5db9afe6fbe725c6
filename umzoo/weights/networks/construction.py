"""Builds networks from ``config.json`` without spending memory or time on values that will be replaced."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils import swap_tensors

from umzoo.backbones.base import Backbone
from umzoo.backbones.state import Shapes, named_tensors, require_same, shapes
from umzoo.errors import ConfigError, PluginError, UmzooError, UnknownNameError, WeightsError, in_one_line
from umzoo.plugins import zoo
from umzoo.weights.folder.info import WeightsInfo

log = logging.getLogger(__name__)

FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Exceptions that a constructor raises for invalid options or on the ``meta`` device."""

FREE_VALUES, FREE_PARTS = 1 << 24, 1000
"""Values and layers that a network may have beyond a multiple of those in the file."""

FILLING = frozenset(
    ("normal_", "uniform_", "fill_", "zero_", "erfinv_", "add_", "sub_", "mul_", "div_", "clamp_", "copy_")
)
"""Tensor methods used for initialization, which only change values."""


def build_backbone(info: WeightsInfo, in_channels: int | None = None) -> Backbone:
    """Return the network described by *info*, with random weights.

    Raises:
        WeightsError: if its architecture or an option is unknown (the error names the plug-in), or its constructor
            fails.
    """
    try:
        return _build(info, in_channels)
    except FAILURES as error:
        reason = in_one_line(f"{info.name} cannot be built: {type(error).__name__}: {error}")
        raise WeightsError(reason) from error


def build_on_meta(info: WeightsInfo, held: Shapes) -> Backbone | None:
    """Return the network described by *info* on the ``meta`` device; None if it cannot be built there.

    Raises:
        WeightsError: if its architecture or an option is unknown, or it is far larger than a file with the shapes
            *held*.
    """
    with budget(held), torch.device("meta"):
        return _attempt(info)


def build_to_fill(info: WeightsInfo, held: Shapes, in_channels: int | None = None) -> Backbone:
    """Return the network described by *info*, for a file with tensors of the shapes *held*.

    Tensors of the file are on ``meta``; all others, such as unsaved rotary tables, have their values. If a part is
    missing in the file, or the network cannot be built on ``meta``, it is built and initialized as usual.

    Raises:
        WeightsError: if it cannot be built or does not fit the file; this is checked before anything large is
            allocated.
    """
    sketch = build_on_meta(info, held)
    if sketch is not None:
        require_fit(sketch, info, held)
    with torch.random.fork_rng(devices=[]):
        if sketch is not None:
            with budget(held), _on_registration(_move_to_meta):
                network = _attempt(info, in_channels)
            if network is not None and _is_filled_by(network, held):
                return network
        with budget(held):
            return build_backbone(info, in_channels)


def count_parameters(name: str) -> int | None:
    """Return the number of parameters of backbone *name* with default options; None if it cannot be built."""
    network = default_network(zoo().backbones[name])
    return None if network is None else sum(parameter.numel() for parameter in network.parameters())


def default_network(kind: type[Backbone]) -> Backbone | None:
    """Return a network of *kind* with its default options, for inspection: on ``meta`` if possible.

    None if it cannot be built at all.
    """
    try:
        with _NoInitialization(), torch.device("meta"):
            return kind.build(kind.Config.parse({}))
    except (*FAILURES, UmzooError) as error:
        log.debug("%s cannot be built on the meta device: %s", kind.name, error)
    try:
        with torch.random.fork_rng(devices=[]):
            return kind.build(kind.Config.parse({}))
    except (*FAILURES, UmzooError) as error:
        log.debug("%s cannot be built: %s", kind.name, error)
    return None


def require_fit(network: nn.Module, info: WeightsInfo, held: Shapes) -> None:
    """Compare the parts of *network* listed in *info* with the shapes in the file.

    Raises:
        WeightsError: if tensors are missing, unexpected or of another shape; the error names them.
    """
    expected = shapes(named_tensors(network))
    require_same({name: shape for name, shape in expected.items() if belongs(name, info)}, held)


def belongs(name: str, info: WeightsInfo) -> bool:
    """Whether tensor *name* belongs to a part that the weights contain."""
    return name.partition(".")[0] in info.parts


def _build(info: WeightsInfo, in_channels: int | None) -> Backbone:
    options = info.backbone.options | ({} if in_channels is None else {"in_channels": in_channels})
    spec = {"name": info.backbone.name, **options}
    try:
        backbone: Backbone = zoo().backbones.build(spec, "backbone", patch_size=info.input.patch_size)
    except (UnknownNameError, ConfigError, PluginError) as error:
        remedy = f"; install the plug-in '{info.plugin}', which provides it" if info.plugin else ""
        raise WeightsError(in_one_line(f"{info.name} cannot be built: {error}{remedy}")) from None
    return backbone


def _attempt(info: WeightsInfo, in_channels: int | None = None) -> Backbone | None:
    """The network on ``meta``, without initialization; None if its constructor does not support that."""
    try:
        with _NoInitialization():
            return _build(info, in_channels)
    except FAILURES as error:
        log.debug("%s cannot be built on the meta device: %s", info.backbone.name, error)
        return None


def _is_filled_by(network: nn.Module, held: Shapes) -> bool:
    """Whether the file contains all tensors that have no values yet."""
    fillable = {id(tensor) for name, tensor in named_tensors(network).items() if name in held}
    tensors = chain(network.parameters(), network.buffers())
    return all(id(tensor) in fillable for tensor in tensors if tensor.is_meta)


class _NoInitialization(TorchFunctionMode):
    """Skips operations that only write values into tensors on ``meta``, which have none.

    Some of these operations are slow there, and the first of them imports modules for about a second.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in FILLING and args and isinstance(args[0], Tensor) and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


def _move_to_meta(layer: nn.Module, name: str, tensor: Any) -> None:
    """Move a parameter to ``meta`` at its registration; it stays the same object, so tied parameters stay tied."""
    if isinstance(tensor, nn.Parameter) and not is_lazy(tensor) and not tensor.is_meta:
        empty = torch.empty_like(tensor, device="meta")
        swap_tensors(tensor, nn.Parameter(empty, requires_grad=tensor.requires_grad))


@contextmanager
def budget(held: Shapes) -> Iterator[None]:
    """Abort the construction of a network that is far larger than a file with the shapes *held*."""
    values, parts = 5 * sum(map(prod, held.values())) + FREE_VALUES, 20 * len(held) + FREE_PARTS
    message = (
        f"the weights do not fit the network: config.json describes a network far larger than the {len(held)} tensors"
        " in the file; download or export it again"
    )
    with limited_size(values, parts, message):
        yield


@contextmanager
def limited_size(values: int, parts: int, message: str) -> Iterator[None]:
    """Abort the construction of a network with more than *values* values, or more than *parts* layers and tensors.

    Raises:
        WeightsError: with *message*.
    """

    def count(layer: nn.Module, name: str, item: Any) -> None:
        nonlocal values, parts
        values, parts = values - (item.numel() if isinstance(item, Tensor) and not is_lazy(item) else 0), parts - 1
        if values < 0 or parts < 0:
            raise WeightsError(message)

    with _on_registration(count, modules=True):
        yield


@contextmanager
def _on_registration(hook: Callable[[nn.Module, str, Any], None], modules: bool = False) -> Iterator[None]:
    """Call *hook* for each parameter that this thread registers, and for each module if *modules* is set."""
    thread = threading.get_ident()

    def ours(layer: nn.Module, name: str, item: Any) -> None:
        if threading.get_ident() == thread:
            hook(layer, name, item)

    handles = [registration.register_module_parameter_registration_hook(ours)]
    if modules:
        handles.append(registration.register_module_module_registration_hook(ours))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
