"""Runs or resumes one cell: a pre-training or a fine-tuning."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from umzoo.downstream.evaluate.online import online_probe
from umzoo.downstream.finetune import FinetuneConfig, Origin, finetune, load_config, resume
from umzoo.downstream.finetune.training import RUN
from umzoo.downstream.study.cells import Cell, is_done, pretraining_of, read_state, write_state
from umzoo.downstream.study.config import StudyConfig
from umzoo.engine.export import export_run
from umzoo.engine.recipe import Recipe, load_recipe
from umzoo.engine.run import Run, finished, has_checkpoint, open_run
from umzoo.engine.trainer import Trainer
from umzoo.errors import ConfigError, UmzooError


class Stopped(UmzooError):  # noqa: N818
    """A signal stopped the cell; its progress is saved."""


def run_cell(config: StudyConfig, out: Path, cell: Cell, cpu: bool = False) -> None:
    """Run *cell* in ``out/cell.name``; resume an interrupted one, and skip a finished one.

    Raises:
        ConfigError: if the cell was begun with other options.
        Stopped: if a signal stopped it.
        UmzooError: if the training raises it.
    """
    folder = out / cell.name
    options = options_of(config, cell)
    if read_state(folder).get("options", options) != options:
        raise ConfigError(f"{folder} was run with other options: give the arm or task another name, or remove it")
    if is_done(folder):
        return
    before, began = float(read_state(folder).get("seconds", 0.0)), time.perf_counter()
    write_state(folder, options=options, done=False, failed="")
    try:
        (_pretrain if cell.kind == "pretraining" else _finetune)(config, out, cell, cpu)
    finally:
        write_state(folder, seconds=round(before + time.perf_counter() - began, 2))
    write_state(folder, done=True)


def options_of(config: StudyConfig, cell: Cell) -> dict[str, Any]:
    """Return the options that the result of *cell* depends on."""
    arm = config.arm(cell.arm)
    left_out = {"finetune"} if arm.seed is not None else {"finetune", "seed"}
    options: dict[str, Any] = {"arm": arm.model_dump(mode="json", exclude=left_out), "seed": cell.seed}
    if cell.kind == "finetuning":
        if arm.finetune:
            options["arm"]["finetune"] = list(arm.finetune)
        options["task"] = config.task(cell.task).model_dump(mode="json", exclude={"folds"})
        options |= {"labels": cell.labels, "fold": cell.fold}
    return options


def recipe_of(config: StudyConfig, cell: Cell) -> Recipe:
    """Return the recipe of a pre-training."""
    arm = config.arm(cell.arm)
    return load_recipe(arm.recipe or "", (*arm.overrides, f"seed={cell.seed}"))


def finetune_config(config: StudyConfig, cell: Cell) -> FinetuneConfig:
    """Return the options of a fine-tuning."""
    task, arm = config.task(cell.task), config.arm(cell.arm)
    return load_config(task.file, (*task.overrides, *arm.finetune, f"seed={cell.seed}", f'labels="{cell.labels}"'))


def _pretrain(config: StudyConfig, out: Path, cell: Cell, cpu: bool) -> None:
    folder = out / cell.name
    going_on = has_checkpoint(folder / "run")
    if not going_on:
        shutil.rmtree(folder / "run", ignore_errors=True)
    data = config.arm(cell.arm).data or Path()
    run = open_run(folder / "run") if going_on else Run(folder / "run", recipe_of(config, cell), data)
    if not (going_on and finished(run)):
        _require_whole(Trainer(run, resume=going_on, cpu=cpu, task_probe=online_probe(run)).fit())
    export_run(run, folder / "weights")


def _finetune(config: StudyConfig, out: Path, cell: Cell, cpu: bool) -> None:
    folder = out / cell.name / "run"
    if (folder / RUN).is_file() and has_checkpoint(folder):
        _require_whole(resume(folder, cpu=cpu).signal)
        return
    shutil.rmtree(folder, ignore_errors=True)
    options, file = finetune_config(config, cell), config.task(cell.task).file
    origin = origin_of(config, out, cell)
    _require_whole(finetune(options, file, folder, origin, fold=cell.fold, cpu=cpu, cases=out / "cases").signal)


def origin_of(config: StudyConfig, out: Path, cell: Cell) -> Origin:
    """Return the initialization of a fine-tuning."""
    arm = config.arm(cell.arm)
    source = config.arm(arm.like or "") if arm.is_random else arm
    begun = pretraining_of(source, cell.seed)
    if source.weights is None and not is_done(out / begun.name):
        raise UmzooError(
            f"the pre-training of arm '{source.name}' with seed {begun.seed} is not finished: run it first"
        )
    ref = source.weights or str(out / begun.name / "weights")
    return Origin(like=ref) if arm.is_random else Origin(ref)


def _require_whole(signum: int | None) -> None:
    if signum is not None:
        raise Stopped(f"stopped by signal {signum}, progress is saved: repeat the command to continue")
