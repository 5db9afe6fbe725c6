"""What ``umzoo pretrain --plan`` foretells, against steps that are really taken on the CPU.

    python benchmarks/plan.py

Memory: the predicted peak, against the peak of the whole model's second step, as PyTorch's profiler saw tensors come
and go. Time: seconds of a step as the plan says them, against the mean of two steps of the whole recipe. The networks
are narrow, so that a step takes seconds; passes, tasks, corruptions and precision are those of the recipes.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from report import write_results
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from umzoo.engine.blocks import checkpoint_activations
from umzoo.engine.build import build_from_recipe
from umzoo.engine.optim import build_optimizer
from umzoo.engine.plan import make_plan
from umzoo.engine.recipe import Recipe, load_recipe
from umzoo.engine.trial_step import AUTOCAST, MODALITIES
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.testing.material import training_batch

CASES: dict[str, tuple[str, list[str]]] = {
    "universal_tiny, 24^3 x 4, fp32": ("universal_tiny", ["data.batch_size=4"]),
    "universal_tiny, 16^3 x 4, bf16": (
        "universal_tiny",
        ["data.patch_size=[16,16,16]", "data.batch_size=4", "trainer.precision=bf16"],
    ),
    "restoration_tiny, 40^3 x 2, fp32, average": (
        "restoration_tiny",
        ["data.patch_size=[40,40,40]", "data.batch_size=2", "trainer.ema=0.99"],
    ),
    "vox2vec_tiny, 24^3 x 2, fp32": ("vox2vec_tiny", ["data.batch_size=2"]),
    "universal_tiny, 32^3 x 2, fp32, checkpointing": (
        "universal_tiny",
        ["data.patch_size=[32,32,32]", "data.batch_size=2", "trainer.activation_checkpointing=true"],
    ),
}


def main() -> None:
    """Print a table and write JSON."""
    table, rows = Table("recipe", "peak, predicted MB", "measured MB", "ratio", "step, predicted s", "measured s"), []
    for title, (name, changes) in CASES.items():
        row = {"case": title, **compare(load_recipe(name, changes))}
        rows.append(row)
        Console().print(row)
        table.add_row(title, *(f"{value:.3g}" for value in list(row.values())[1:]))
    Console().print(table)
    Console().print(write_results("plan", {"rows": rows}))


def compare(recipe: Recipe) -> dict[str, Any]:
    """Predicted and measured peak in MB and seconds per step."""
    plan = make_plan(recipe)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        take_steps(recipe, 2)
    peak = peak_of(seen)
    seconds = take_steps(recipe, 3)
    return {
        "predicted_mb": plan.memory / 1e6,
        "measured_mb": peak / 1e6,
        "memory_ratio": plan.memory / peak,
        "predicted_seconds": plan.seconds,
        "measured_seconds": seconds,
    }


def take_steps(recipe: Recipe, count: int) -> float:
    """Take *count* steps of all of *recipe*; return the mean seconds of all but the first."""
    model, precision = build_from_recipe(zoo(), recipe, MODALITIES), AUTOCAST[recipe.trainer.precision]
    average = [value.detach().clone() for value in model.backbone.parameters()] if recipe.trainer.ema else []
    if recipe.trainer.activation_checkpointing:
        checkpoint_activations(model.backbone)
    optimizer, batch = (
        build_optimizer(recipe.optim, model),
        training_batch(recipe.data.patch_size, recipe.data.batch_size),
    )
    began = time.perf_counter()
    for step in range(count):
        if step == 1:
            began = time.perf_counter()
        with torch.autocast("cpu", dtype=precision or torch.bfloat16, enabled=precision is not None):
            loss = model(batch, Rng(0, step)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    seconds = (time.perf_counter() - began) / max(1, count - 1)
    average.clear()
    return seconds


def peak_of(seen: Any) -> int:
    """Bytes of tensors at the peak."""
    held = peak = 0
    for event in sorted(seen.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


if __name__ == "__main__":
    main()
