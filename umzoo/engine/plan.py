"""What a run will take, before it is begun: parameters, memory, disk."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from umzoo.backbones.base import Backbone, Features
from umzoo.engine.optim import build_optimizer
from umzoo.engine.recipe import Recipe
from umzoo.plugins import zoo

AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Plan:
    """What a run will take.

    Attributes:
        parameters: of the backbone.
        memory: bytes of tensors at the peak of a step: weights, gradients, optimizer, moving average, activations.
        disk: bytes of the checkpoints that are kept.
        batch: patches per pass.
        passes: accumulated passes per step.
    """

    parameters: int
    memory: int
    disk: int
    batch: int
    passes: int

    def lines(self) -> list[str]:
        """Return what is to be said, a line for each."""
        return [
            f"parameters of the backbone: {self.parameters / 1e6:.1f} M",
            f"peak memory of a process: about {self.memory / 1e9:.2f} GB in tensors, with data.batch_size={self.batch}"
            f" and trainer.accumulate={self.passes}",
            f"disk: about {self.disk / 1e9:.2f} GB of checkpoints",
        ]


def make_plan(recipe: Recipe, limit: float | None = None) -> Plan:
    """Return what *recipe* takes; with a *limit* in bytes, with the largest batch that fits, accumulated to the same.

    No tensor is allocated: the backbone takes a step on fake tensors. Heads of the tasks are small beside it.
    """
    batch, total = recipe.data.batch_size, recipe.data.batch_size * recipe.trainer.accumulate
    sizes = [size for size in range(batch, 0, -1) if total % size == 0]
    for size in sizes:
        parameters, peak = _step(recipe, size)
        if limit is None or peak <= limit:
            break
    held = parameters * 4 * (2 if recipe.trainer.ema else 1)
    state = held + parameters * 4 * 2
    return Plan(parameters, peak, state * recipe.trainer.keep, size, total // size)


def _step(recipe: Recipe, batch: int) -> tuple[int, int]:
    """Return parameters of the backbone, and bytes at the peak of a step with *batch* patches."""
    registry, precision = zoo().pretext_tasks, AUTOCAST[recipe.trainer.precision]
    dense = any(registry[task.name].dense for task in recipe.pretext.tasks)
    with FakeTensorMode(allow_non_fake_inputs=True):
        network: Backbone = zoo().backbones.build(recipe.backbone, "backbone", patch_size=recipe.data.patch_size)
        optimizer = build_optimizer(recipe.optim, network)
        average = [value.clone() for value in network.parameters()] if recipe.trainer.ema else []
        tracker = MemTracker()
        tracker.track_external(network, optimizer, *average)
        with tracker:
            for _ in range(2):  # the optimizer makes its state in the first
                tracker.reset_mod_stats()
                image = torch.rand(batch, 1, *recipe.data.patch_size)
                with torch.autocast("cpu", dtype=precision or torch.bfloat16, enabled=precision is not None):
                    loss = _loss(network(image, dense=dense), dense)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
    peak = max(kinds["Total"] for kinds in tracker.get_tracker_snapshot("peak").values())
    return sum(parameter.numel() for parameter in network.parameters()), int(peak)


def _loss(features: Features, dense: bool) -> torch.Tensor:
    answer = features.dense if dense and features.dense is not None else features.pooled
    return answer.float().square().mean()
