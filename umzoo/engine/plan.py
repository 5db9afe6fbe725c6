"""What a run will take, before it is begun: parameters, memory, time, disk."""

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
"""Operations of a step that is timed, at most: a second or so."""


@dataclass(frozen=True)
class Plan:
    """What a run will take.

    Attributes:
        parameters: of the backbone.
        memory: bytes of tensors at the peak of a step: weights, gradients, optimizer, moving average, activations.
        disk: bytes of the checkpoints that are kept.
        batch: patches per pass.
        passes: accumulated passes per step.
        checkpointing: whether activations are computed anew.
        seconds: of a step, without waiting for data.
        steps: of the run.
        source: how the time was found.
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
        """Return what is to be said, a line for each."""
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
        """Return all in one line."""
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
    """Return what *recipe* takes.

    A small step is taken to see which passes it makes; a step on fake tensors, for which nothing is allocated, tells
    memory and operations of the recipe's own batch and patch. What tasks keep for themselves is left out.

    Args:
        recipe: what is to be trained.
        limit: bytes for which the largest batch is found that fits, accumulated to the same step; with less than one
            patch needs, activations are computed anew.
        card: tells the time by its data sheet; by default a step of a smaller patch is timed on *device*.
        device: the CPU if None.
        modalities: those of the store.
        targets: those of the store.
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
    """*seconds* in the unit that suits them."""
    for unit, length in (("days", 86400 * 3), ("h", 3600 * 2), ("min", 120)):
        if seconds >= length:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
