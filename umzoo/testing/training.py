"""End-to-end check of a recipe, from phantoms to transferred weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umzoo.plugins import zoo
from umzoo.testing.promises import ConformanceError

COVERAGE = {"encoder": "coverage", "decoder": "decoder_coverage"}
"""Part of a network to the attribute of a transfer report with its coverage."""
DATA = {"patch_size": (16, 16, 16), "batch_size": 2, "workers": 0}


def check_training(recipe: Mapping[str, Any], folder: Path | str, steps: int = 2) -> list[float]:
    """Train *recipe* on phantoms on the CPU, export the run, and transfer the weights to a new network.

    Args:
        recipe: a recipe without ``trainer``; its components must be registered. Defaults of ``data`` are small: two
            patches of 16^3, read without worker processes.
        folder: an empty folder for the store, the run and the weights.
        steps: optimizer steps.

    Returns:
        The loss of each step.

    Raises:
        ConformanceError: if a loss is not finite, or a part of the network is not transferred completely.
    """
    from umzoo.data.phantoms.files import write_phantoms
    from umzoo.data.preparing.prepare import prepare
    from umzoo.engine.export import export_run
    from umzoo.engine.log import read_metrics
    from umzoo.engine.recipe import Recipe
    from umzoo.engine.run import Run
    from umzoo.engine.trainer import Trainer
    from umzoo.weights.transfer import transfer

    folder, trainer = Path(folder), {"steps": steps, "log_every": 1, "probe_volumes": 4}
    parsed = Recipe.parse({**recipe, "data": {**DATA, **recipe.get("data", {})}, "trainer": trainer})
    write_phantoms(folder / "scans", ct=2, mr=2, size=parsed.data.patch_size)
    prepare([folder / "scans"], folder / "store", modality=("ct=*/ct/*", "mr=*/mr/*"), workers=0)
    run = Run(folder / "run", parsed, folder / "store")
    Trainer(run, cpu=True).fit()
    info = export_run(run, folder / "weights")
    report = transfer(folder / "weights", zoo().backbones.build(info.backbone))
    missing = [part for part in info.parts if getattr(report, COVERAGE[part]) < 1]
    if missing:
        raise ConformanceError(f"{info.name}: the {' and the '.join(missing)} was not transferred completely: {report}")
    losses = [line["loss"] for line in read_metrics(run.folder / "metrics.jsonl") if "loss" in line]
    if len(losses) != steps or not all(map(math.isfinite, losses)):
        raise ConformanceError(f"{info.name}: needs {steps} finite losses, got {losses}")
    return losses
