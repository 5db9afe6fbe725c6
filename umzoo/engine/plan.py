"""Estimates the cost of a run in advance: parameters, memory, time, disk."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch

from umzoo.engine.blocks import checkpoint_activations
from umzoo.engine.cards import Card
from umzoo.engine.fake_step import take_fake_step
from umzoo.engine.recipe import Recipe
from umzoo.engine.trial_step import MODALITIES, NO_TARGETS, Targets, build_trial, observe, time_step

BUDGET = {"cpu": 2e10, "cuda": 1e13}
"""Maximum operations of a timed step, which take about a second."""


@dataclass(frozen=True)
class Plan:
    """Estimated cost of a run.

    Attributes:
        parameters: number of parameters of the backbone.
        memory: peak bytes of tensors in a step: weights, gradients, optimizer, moving average, activations.
        disk: bytes of the kept checkpoints.
        batch: patches per pass.
        passes: accumulated passes per step.
        checkpointing: whether activation checkpointing is on.
        seconds: duration of a step, without waiting for data.
        steps: steps of the run.
        source: source of the time estimate.
    """

    parameters: int
    memory: int
    disk: int
    batch: int
    passes: int
    checkpointing: bool
    seconds: float
    steps: int
    source: str

    def lines(self) -> list[str]:
        """Return the plan as lines of text."""
        options = f"data.batch_size={self.batch} trainer.accumulate={self.passes}"
        if self.checkpointing:
            options += " trainer.activation_checkpointing=true"
        return [
            f"parameters of the backbone: {self.parameters / 1e6:.1f} M",
            f"peak memory of a process: about {self.memory / 1e9:.2f} GB in tensors, with {options}",
            f"time: about {_time(self.seconds)} per step, {_time(self.seconds * self.steps)} for {self.steps} steps,"
            f" {self.source}; as many device-hours for each process",
            f"disk: about {self.disk / 1e9:.2f} GB of checkpoints",
        ]

    def line(self) -> str:
        """Return the plan in one line."""
        return (
            f"plan: {self.parameters / 1e6:.1f} M parameters, peak memory about {self.memory / 1e9:.2f} GB in tensors,"
            f" about {_time(self.seconds)} per step and {_time(self.seconds * self.steps)} for {self.steps} steps,"
            f" {self.disk / 1e9:.2f} GB of checkpoints"
        )


def make_plan(
    recipe: Recipe,
    limit: float | None = None,
    card: Card | None = None,
    device: torch.device | None = None,
    modalities: tuple[str, ...] = MODALITIES,
    targets: Targets = NO_TARGETS,
) -> Plan:
    """Return the estimated cost of *recipe*.

    A small step is run to find its forward passes. A step on fake tensors, which allocates nothing, then gives memory
    and operations for the recipe's batch and patch. Activations of the tasks are not counted.

    Args:
        recipe: the recipe.
        limit: memory in bytes; the largest fitting batch is chosen and accumulated to the same step size. If no batch
            fits, activation checkpointing is enabled.
        card: GPU whose data sheet gives the time; by default a step with a smaller patch is timed on *device*.
        device: device of the timed step; None is the CPU.
        modalities: modalities of the store.
        targets: targets of the store.
    """
    device = device or torch.device("cpu")
    small = build_trial(recipe, 0, modalities, targets)
    passes = observe(small)
    batch, total = recipe.data.batch_size, recipe.data.batch_size * recipe.trainer.accumulate
    sizes = [size for size in range(batch, 0, -1) if total % size == 0]
    kinds = (True,) if recipe.trainer.activation_checkpointing else (False, True)
    for size, again in [(size, again) for again in kinds for size in sizes]:
        step = take_fake_step(recipe, size, passes, again)
        if limit is None or step.memory <= limit:
            break
    if card is not None:
        seconds, source = card.seconds(step.operations, recipe.trainer.precision), "by the data sheet of the card"
    else:
        share = BUDGET.get(device.type, BUDGET["cpu"]) / max(step.operations, 1)
        trial = build_trial(recipe, share * prod(recipe.data.patch_size), modalities, targets)
        if again:
            checkpoint_activations(trial.model.backbone)
        smaller = prod(recipe.data.patch_size) / prod(trial.recipe.data.patch_size)
        seconds, source = time_step(trial, size, device) * smaller, f"by a step timed on this machine ({device.type})"
    disk = (step.state + passes.beside) * recipe.trainer.keep
    return Plan(
        step.parameters, step.memory, disk, size, total // size, again,
        seconds * (total // size), recipe.trainer.steps, source,
    )  # fmt: skip


def _time(seconds: float) -> str:
    """Format *seconds* with a suitable unit."""
    for unit, length in (("days", 86400 * 3), ("h", 3600 * 2), ("min", 120)):
        if seconds >= length:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
