"""Step time in the trainer over a bare loop with the same model and a resident batch.

    python benchmarks/trainer.py --data STORE [--recipe universal_tiny] [--compile] [key.sub=value ...]

Rounds of trainer steps and of bare steps alternate in one process. The trainer reads, hands over, corrupts, guards,
logs; the bare loop does forward, backward and update on one batch that was corrupted once and never moves. So reading
and corruption count as the trainer's overhead. Also measured: patches per second, the shares of the time spent in
corruption (its own time over the step's) and waiting for data, and the peak of the device's memory.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from report import write_results
from rich.console import Console
from rich.table import Table

from umzoo.data.loading.loader import Loader
from umzoo.engine.build import build_from_recipe
from umzoo.engine.log import RunLog
from umzoo.engine.meter import Meter
from umzoo.engine.optim import build_optimizer
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run
from umzoo.engine.trainer import Trainer
from umzoo.plugins import zoo


def bare_step(trainer: Trainer) -> Callable[[], None]:
    """A plain training step on a resident batch, with a model and optimizer of its own."""
    recipe, device = trainer.recipe, trainer.device
    model = build_from_recipe(zoo(), recipe, trainer.store.modalities).to(device)
    optimizer = build_optimizer(recipe.optim, model)
    with Loader(trainer.store, recipe.data.model_copy(update={"workers": 0}), recipe.seed) as loader:
        batch, rng = trainer.prepare_batch(next(loader), trainer._draws(0))
    view = model.shared_view(batch, rng)
    precision = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[recipe.trainer.precision]

    def step() -> None:
        with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
            features = model.backbone(view["input"], dense=True)
            loss = sum(model.weights[label] * task.loss(features, view) for label, task in model.tasks.items())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optim.clip or float("inf"))
        optimizer.step()
        optimizer.zero_grad()

    return step


def timed(step: Callable[[], None], count: int, device: torch.device) -> float:
    """Seconds per step over *count* steps."""
    began = time.perf_counter()
    for _ in range(count):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / count


def measure(trainer: Trainer, rounds: int, count: int) -> dict[str, float | None]:
    """Medians of the two step times, and of their ratio within a round."""
    bare = bare_step(trainer)
    trained, plain = [], []
    recipe = trainer.recipe
    with Loader(trainer.store, recipe.data, recipe.seed) as loader, RunLog(trainer.run.folder, 1, 0, True) as log:
        trainer.loader = trainer._batches = loader
        trainer.log, trainer._waited, trainer._meter = log, 0.0, Meter()
        batches = iter(loader)

        def step() -> None:
            trainer._train_step(batches)
            trainer._report()

        timed(step, 2, trainer.device), timed(bare, 2, trainer.device)
        for _ in range(rounds):
            trained.append(timed(step, count, trainer.device))
            plain.append(timed(bare, count, trainer.device))
        waited, batch = trainer.loader.wait_seconds, trainer.prepare_batch(next(batches), trainer._draws(0))
    corruption = timed(lambda: trainer.model.shared_view(*batch), count, trainer.device) * recipe.trainer.accumulate
    ratios = [a / b for a, b in zip(trained, plain, strict=True)]
    seconds, cuda = statistics.median(trained), trainer.device.type == "cuda"
    return {
        "trainer_seconds": seconds,
        "bare_seconds": statistics.median(plain),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "patches_per_second": recipe.data.batch_size * recipe.trainer.accumulate / seconds,
        "corruption_share": corruption / seconds,
        "data_wait_share": waited / (sum(trained) * count),
        "peak_memory_gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else None,
    }


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="changes to the recipe, as key.sub=value")
    parser.add_argument("--data", type=Path, required=True, help="store")
    parser.add_argument("--recipe", default="universal_tiny")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="steps per round")
    parser.add_argument("--compile", action="store_true", help="measure with torch.compile as well")
    parser.add_argument("--name", default="trainer", help="name of the result's file")
    options = parser.parse_args()
    quiet = ["trainer.steps=1000000", "trainer.probe_every=1000000", "trainer.picture_every=1000000"]
    table = Table("trainer ms", "bare ms", "ratio", "patches/s", "corruption", "data wait", "GiB", title=options.recipe)
    results = {}
    for compiled in (False, True) if options.compile else (False,):
        changes = [*quiet, *options.overrides, f"trainer.compile={str(compiled).lower()}"]
        recipe = load_recipe(options.recipe, changes)
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(Run(Path(folder) / "run", recipe, options.data))
            result = results["compiled" if compiled else "eager"] = measure(trainer, options.rounds, options.steps)
        table.add_row(
            f"{1e3 * result['trainer_seconds']:.1f}",
            f"{1e3 * result['bare_seconds']:.1f}",
            f"{result['ratio']:.3f} ({result['ratio_min']:.3f}-{result['ratio_max']:.3f})",
            f"{result['patches_per_second']:.1f}",
            f"{result['corruption_share']:.1%}",
            f"{result['data_wait_share']:.1%}",
            "-" if result["peak_memory_gib"] is None else f"{result['peak_memory_gib']:.1f}",
        )
    Console().print(table)
    write_results(options.name, {"recipe": options.recipe, "overrides": options.overrides, **results})


if __name__ == "__main__":
    main()
