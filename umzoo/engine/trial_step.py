"""Runs one small step of a recipe to find its forward passes and its duration."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import torch

from umzoo.backbones.base import Size
from umzoo.data.store.targets import Target
from umzoo.engine.build import build_from_recipe
from umzoo.engine.optim import build_optimizer
from umzoo.engine.recipe import Recipe
from umzoo.errors import ConfigError
from umzoo.fields import Fields, Rng, to_device
from umzoo.plugins import zoo
from umzoo.pretext.model import PretextModel
from umzoo.testing.material import training_batch

AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
MODALITIES = ("ct", "mr")
Targets = Mapping[str, Target]
NO_TARGETS: Targets = MappingProxyType({})
SMALLEST = 16
"""Minimum edge of halved patches, in voxels."""


@dataclass(frozen=True)
class Call:
    """A forward pass of the backbone: images per patch of the batch, size relative to the patch, and dense features."""

    items: float
    size: tuple[float, ...]
    dense: bool


@dataclass(frozen=True)
class Trial:
    """A recipe with a smaller patch, its model, and the targets of the store."""

    recipe: Recipe
    model: PretextModel
    targets: Targets

    def batch(self, items: int) -> Fields:
        """Return a batch of *items* patches of random voxels with all fields."""
        fields = training_batch(self.recipe.data.patch_size, items)
        for name, target in self.targets.items():
            classes, spread = torch.arange(items) % max(len(target.classes), 1), torch.linspace(-1, 1, items)
            fields[f"target.{name}"] = classes if target.classes else target.mean + target.std * spread
        return fields


@dataclass(frozen=True)
class Passes:
    """Forward passes of a step, and memory of the tasks.

    Attributes:
        calls: forward passes of the backbone.
        beside: bytes of the tasks' parameters, with gradients and optimizer moments if they are trained.
    """

    calls: tuple[Call, ...]
    beside: int

    def together(self) -> Call:
        """Return an equivalent single pass of full patches: activations are about proportional to voxels."""
        items = sum(call.items * prod(call.size) for call in self.calls)
        return Call(items, (1.0, 1.0, 1.0), any(call.dense for call in self.calls))


def build_trial(
    recipe: Recipe, voxels: float, modalities: tuple[str, ...] = MODALITIES, targets: Targets = NO_TARGETS
) -> Trial:
    """Build *recipe* with its patch halved to at most *voxels*, as far as its tasks and network allow."""
    patches = list(_halves(recipe.data.patch_size))
    fitting = [patch for patch in patches if prod(patch) <= voxels]
    for patch in [*fitting, *reversed(patches[: len(patches) - len(fitting)])]:
        with suppress(ConfigError):
            return _built(recipe, patch, modalities, targets)
    return _built(recipe, recipe.data.patch_size, modalities, targets)


def _built(recipe: Recipe, patch: Size, modalities: tuple[str, ...], targets: Targets) -> Trial:
    smaller = recipe.model_copy(update={"data": recipe.data.model_copy(update={"patch_size": patch})})
    return Trial(smaller, build_from_recipe(zoo(), smaller, modalities, targets=targets), targets)


def _halves(patch: Size) -> Iterator[Size]:
    """Yield *patch*, its half, and so on."""
    yield patch
    while min(patch) // 2 >= SMALLEST:
        patch = (patch[0] // 2, patch[1] // 2, patch[2] // 2)
        yield patch


def observe(trial: Trial) -> Passes:
    """Run a step of two patches, and return its forward passes."""
    calls: list[Call] = []
    model, patch, items = trial.model, trial.recipe.data.patch_size, min(2, trial.recipe.data.batch_size)

    def note(_: object, images: tuple[Any, ...], options: dict[str, Any]) -> None:
        image = images[0] if images else options["image"]
        size = tuple(n / whole for n, whole in zip(image.shape[2:], patch, strict=True))
        calls.append(Call(len(image) / items, size, bool(options.get("dense"))))

    handle = model.backbone.register_forward_pre_hook(note, with_kwargs=True)
    with torch.no_grad():
        model(trial.batch(items), Rng(0))
    handle.remove()
    beside = sum(value.numel() * (16 if value.requires_grad else 4) for value in model.tasks.parameters())
    dense = any(task.dense for task in model.tasks.values())
    return Passes(tuple(calls) or (Call(1.0, (1.0, 1.0, 1.0), dense),), beside)  # a task may call submodules only


def time_step(trial: Trial, batch: int, device: torch.device, count: int = 2) -> float:
    """Return the seconds of a step of the *trial* with *batch* patches on *device*, after one warm-up step."""
    recipe, model = trial.recipe, trial.model.to(device)
    optimizer, precision = build_optimizer(recipe.optim, model), AUTOCAST[recipe.trainer.precision]
    fields = to_device(trial.batch(batch), device)
    for step in range(count + 1):
        if step == 1:
            _wait(device)
            began = time.perf_counter()
        with torch.autocast(device.type, dtype=precision or torch.bfloat16, enabled=precision is not None):
            loss = model(fields, Rng(0, step, device=device)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    _wait(device)
    return (time.perf_counter() - began) / count


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
