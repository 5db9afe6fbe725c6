"""A training step on fake tensors, which counts memory and operations without computing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.optim import Optimizer
from torch.utils.flop_counter import FlopCounterMode

from umzoo.backbones.base import Backbone, Features
from umzoo.engine.blocks import checkpoint_activations
from umzoo.engine.optim import build_optimizer
from umzoo.engine.recipe import Recipe
from umzoo.engine.trial_step import AUTOCAST, Call, Passes
from umzoo.plugins import zoo

IMAGES = 4
"""Images per patch that a step keeps besides activations: clean and corrupted, both also in the input space."""
COLLECTED = 32
"""Operations after which garbage is collected."""


@dataclass(frozen=True)
class FakeStep:
    """Cost of forward and backward pass of a batch and of an update.

    Attributes:
        parameters: number of parameters of the backbone.
        memory: peak memory in bytes.
        state: bytes of a checkpoint, without the tasks.
        operations: floating-point operations of matrix products and convolutions.
    """

    parameters: int
    memory: int
    state: int
    operations: float


def take_fake_step(recipe: Recipe, batch: int, passes: Passes, again: bool) -> FakeStep:
    """Run the *passes* of a step of *recipe* with *batch* patches; *again* enables activation checkpointing."""
    precision = AUTOCAST[recipe.trainer.precision]
    with FakeTensorMode(allow_non_fake_inputs=True):
        network: Backbone = zoo().backbones.build(recipe.backbone, "backbone", patch_size=recipe.data.patch_size)
        if again:
            checkpoint_activations(network)
        optimizer = _moved(build_optimizer(recipe.optim, network), network)
        average = [value.clone() for value in network.parameters()] if recipe.trainer.ema else []
        tracker, counter = _Tracker(), FlopCounterMode(display=False)
        tracker.track_external(network, optimizer, *average)
        with _frozen(), tracker:
            kept = [torch.rand(batch, 1, *recipe.data.patch_size) for _ in range(IMAGES)]
            with counter, torch.autocast("cpu", dtype=precision or torch.bfloat16, enabled=precision is not None):
                _loss(network, recipe, batch, passes.together()).backward()
            optimizer.step()
            del kept
    peak = max(kinds["Total"] for kinds in tracker.get_tracker_snapshot("peak").values())
    parameters = sum(value.numel() for value in network.parameters())
    moments = sum(it.numel() for of in optimizer.state.values() for it in of.values() if isinstance(it, torch.Tensor))
    state = 4 * (parameters * (2 if recipe.trainer.ema else 1) + moments)
    return FakeStep(parameters, int(peak) + passes.beside, state, counter.get_total_flops())


class _Tracker(MemTracker):
    """Counts memory without garbage: with activation checkpointing, fake tensors end up in reference cycles.

    Real tensors do not, so without this the peak would depend on when Python collects garbage.
    """

    operations = 0

    def __torch_dispatch__(self, *arguments: Any, **options: Any) -> Any:
        self.operations += 1
        if self.operations % COLLECTED == 0:
            gc.collect()
        return super().__torch_dispatch__(*arguments, **options)  # type: ignore[no-untyped-call]


@contextmanager
def _frozen() -> Iterator[None]:
    """While entered, collections skip the objects that existed before, so they take milliseconds."""
    ours = not gc.get_freeze_count()
    if ours:
        gc.freeze()
    try:
        yield
    finally:
        if ours:
            gc.unfreeze()


def _moved(optimizer: Optimizer, network: Backbone) -> Optimizer:
    """Return *optimizer* after a first step, which allocates its state."""
    for value in network.parameters():
        value.grad = torch.zeros_like(value)
    optimizer.step()
    optimizer.zero_grad()
    return optimizer


def _loss(network: Backbone, recipe: Recipe, batch: int, call: Call) -> torch.Tensor:
    image = torch.rand(max(1, round(call.items * batch)), 1, *recipe.data.patch_size)
    features: Features = network(image, dense=call.dense)
    answer = features.dense if features.dense is not None else features.pooled
    return answer.float().square().mean()
