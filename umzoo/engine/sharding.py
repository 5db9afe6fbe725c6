"""Sharding of a model over all processes by PyTorch's FSDP2 (Zhao et al., arXiv 2304.11277), and gathering."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import get_world_size
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from umzoo.engine.blocks import blocks


def shard(model: nn.Module, network: nn.Module, device: torch.device) -> None:
    """Shard the parameters of *model* over all processes; the blocks of its part *network* are gathered one by one.

    Afterwards, call *model* itself and never a part of it.
    """
    mesh = init_device_mesh(device.type, (get_world_size(),))
    for block in blocks(network):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def gathered(state: Any, keep: bool = True) -> Any:
    """Return the nested *state* with full tensors on the CPU; all processes must call it.

    If not *keep*, tensors are replaced by None, for processes that do not need them.
    """
    if isinstance(state, Mapping):
        return {key: gathered(value, keep) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(gathered(value, keep) for value in state)
    if not isinstance(state, DTensor):
        return state
    whole = state.full_tensor()
    return whole.cpu() if keep else None


def scattered(state: Mapping[str, Tensor], like: Mapping[str, Any]) -> dict[str, Any]:
    """Return the full tensors of *state*, sharded like those of equal names in *like*; each process needs *state*."""
    return {name: _part(value, like.get(name)) for name, value in state.items()}


def scattered_optimizer(state: dict[str, Any], optimizer: Any) -> dict[str, Any]:
    """Return the *state* of an optimizer, sharded like its parameters."""
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    parts = {number: _of_parameter(found, parameters[number]) for number, found in state["state"].items()}
    return {**state, "state": parts}


def _of_parameter(found: Mapping[str, Any], parameter: Tensor) -> dict[str, Any]:
    """Return the optimizer's state of *parameter*; tensors of its shape are sharded like it."""
    alike = {name for name, it in found.items() if isinstance(it, Tensor) and it.shape == parameter.shape}
    return {name: _part(value, parameter) if name in alike else value for name, value in found.items()}


def _part(value: Any, like: Any) -> Any:
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


class Replica:
    """A full copy of a sharded model on the CPU of one process, for evaluation.

    Args:
        model: the model before sharding.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = copy.deepcopy(model).cpu()

    @contextmanager
    def filled(self, state: Mapping[str, Any], device: torch.device) -> Iterator[nn.Module]:
        """While entered, provide the copy with the full *state* on *device*."""
        self._model.load_state_dict(state)
        try:
            yield self._model.to(device)
        finally:
            self._model.cpu()
