"""State of a network with one canonical name per tensor; handles aliases and wrappers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from umzoo.errors import WeightsError

Shapes = Mapping[str, tuple[int, ...]]
_LAYER = re.compile(r"\.all_modules\.(\d+)\.")


def unwrap(module: nn.Module) -> nn.Module:
    """Return the network inside DataParallel, DistributedDataParallel and ``torch.compile``."""
    while True:
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        elif isinstance(getattr(module, "_orig_mod", None), nn.Module):
            module = getattr(module, "_orig_mod")  # noqa: B009 - a property of torch's compiled modules
        else:
            return module


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and persistent buffers of *module* (not copied), each once, by canonical name.

    In nnU-Net's networks, the name ``encoder.*`` is used instead of ``decoder.encoder.*``, and ``*.conv.*`` instead of
    ``*.all_modules.0.*``.
    """
    seen: set[int] = set()
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = unwrap(module).state_dict(keep_vars=True)
    for name, value in values.items():
        if isinstance(value, Tensor) and id(value) not in seen:
            seen.add(id(value))
            tensors[canonical_name(name)] = value
    return tensors


def canonical_name(name: str) -> str:
    """Return the canonical name of the tensor *name* of a state dict.

    ``decoder.encoder.*`` becomes ``encoder.*``. In blocks, ``all_modules.0`` becomes ``conv``, and the only other layer
    with parameters becomes ``norm``. The prefixes ``module.`` (DDP) and ``_orig_mod.`` (``torch.compile``) are removed.
    """
    while name.startswith(("module.", "_orig_mod.")):
        name = name.partition(".")[2]
    name = name.replace("_orig_mod.", "")
    if name.startswith("decoder.encoder."):
        name = name.removeprefix("decoder.")
    return _LAYER.sub(lambda layer: ".conv." if layer[1] == "0" else ".norm.", name)


def collapse_aliases(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a state dict, which may be of a wrapped nnU-Net network, each once by canonical name.

    Raises:
        WeightsError: if two names of one tensor hold different values.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if isinstance(value, Tensor):
            kept = tensors.setdefault(canonical_name(name), value)
            if not _same_values(kept, value):
                raise WeightsError(f"{name} and {canonical_name(name)} are one tensor but differ in value: edit both")
    return tensors


def expand_aliases(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return canonical *state* with all names that *network* (which may be on ``meta``) has for its tensors.

    Aliases share their tensors, so ``torch.save`` writes each once.

    Raises:
        WeightsError: if tensors are missing, extra or of another shape; the message names them.
    """
    canonical = named_tensors(network)
    require_same(shapes(canonical), shapes(state))
    names = {id(tensor): name for name, tensor in canonical.items()}
    values: dict[str, Any] = unwrap(network).state_dict(keep_vars=True)
    return {name: state[names[id(value)]] for name, value in values.items() if isinstance(value, Tensor)}


def canonical_state(module: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of *module* by canonical name, detached but not copied."""
    return {name: tensor.detach() for name, tensor in named_tensors(module).items()}


def require_contract(names: Iterable[str], network: str) -> None:
    """Check that the tensor *names* of *network* follow the weights contract.

    Raises:
        WeightsError: if *names* is empty, or one is neither under ``encoder.*`` nor ``decoder.*``.
    """
    names = list(names)
    outside = [name for name in names if not name.startswith(("encoder.", "decoder."))]
    if outside or not names:
        raise WeightsError(
            f"all parameters and buffers of a backbone must be under 'encoder' and 'decoder', {network} has"
            f" {_some(outside) or 'none'}: put its layers into self.encoder and self.decoder"
        )


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def require_same(expected: Shapes, found: Shapes) -> None:
    """Check that names and shapes are equal.

    Raises:
        WeightsError: naming the tensors that are missing, extra or of another shape.
    """
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    other = [
        f"{name} (expected {expected[name]}, got {found[name]})"
        for name in expected
        if name in found and tuple(found[name]) != tuple(expected[name])
    ]
    problems = [
        f"{len(names)} {kind}: {_some(names)}"
        for kind, names in (("missing", missing), ("extra", extra), ("of another shape", other))
        if names
    ]
    if problems:
        raise WeightsError(f"the weights do not fit the network; tensors {'; '.join(problems)}")


def _same_values(a: Tensor, b: Tensor) -> bool:
    """Return whether two entries of a state dict are equal; on ``meta``, whether their shapes are equal."""
    return a is b or (a.shape == b.shape and (a.is_meta or a.data_ptr() == b.data_ptr() or torch.equal(a, b)))


def _some(names: list[str], most: int = 4) -> str:
    """Return the first few *names* as text."""
    return ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")
