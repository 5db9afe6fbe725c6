"""Estimates the duration of a study from finished cells, or by timing a few steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from umzoo.downstream.finetune import FinetuneConfig, Origin
from umzoo.downstream.finetune.run import open_finetuning
from umzoo.downstream.study.cell_work import finetune_config, recipe_of
from umzoo.downstream.study.cells import Cell, finetunings, is_done, pretraining_of, pretrainings, read_state
from umzoo.downstream.study.config import StudyConfig
from umzoo.downstream.tasks import make_task
from umzoo.engine.run import Run
from umzoo.engine.trainer import Trainer
from umzoo.spec import ComponentSpec

STEPS = 3
"""Number of timed steps; the first is slower, so the estimate is conservative."""


@dataclass(frozen=True)
class Forecast:
    """Unfinished cells of one kind, and their duration.

    Attributes:
        what: arm of the pre-trainings, or task of the fine-tunings.
        cells: number of cells.
        seconds: duration of one cell in one process.
        known: whether the duration comes from finished cells.
    """

    what: str
    cells: int
    seconds: float
    known: bool


def forecast(config: StudyConfig, out: Path, cpu: bool = False) -> Iterator[Forecast]:
    """Yield a forecast of the unfinished cells of each pre-trained arm and each task."""
    for arm in config.arms:
        cells = [cell for cell in pretrainings(config) if cell.arm == arm.name]
        yield from _forecast(f"pre-training of {arm.name}", config, out, cells, cpu)
    for task in config.tasks:
        cells = [cell for cell in finetunings(config) if cell.task == task.title]
        yield from _forecast(f"fine-tuning on {task.title}", config, out, cells, cpu)


def _forecast(what: str, config: StudyConfig, out: Path, cells: Sequence[Cell], cpu: bool) -> Iterator[Forecast]:
    todo = [cell for cell in cells if not is_done(out / cell.name)]
    if not todo:
        return
    if done := [float(read_state(out / cell.name)["seconds"]) for cell in cells if is_done(out / cell.name)]:
        yield Forecast(what, len(todo), median(done), known=True)
        return
    timed = time_pretraining if todo[0].kind == "pretraining" else time_finetuning
    with TemporaryDirectory() as folder:
        seconds = timed(config, todo[0], Path(folder), cpu)
    yield Forecast(what, len(todo), seconds, known=False)


def time_pretraining(config: StudyConfig, cell: Cell, folder: Path, cpu: bool) -> float:
    """Return the estimated seconds of *cell*, from a few steps in *folder*."""
    recipe = recipe_of(config, cell)
    short = recipe.model_copy(update={"trainer": recipe.trainer.model_copy(update={"steps": STEPS})})
    began = time.perf_counter()
    trainer = Trainer(Run(folder / "run", short, config.arm(cell.arm).data or Path()), cpu=cpu)
    trainer.fit()
    whole = time.perf_counter() - began
    return trainer.seconds / STEPS * recipe.trainer.steps + whole - trainer.seconds


def time_finetuning(config: StudyConfig, cell: Cell, folder: Path, cpu: bool) -> float:
    """Return the estimated seconds of *cell*, from a few steps and one validation in *folder*."""
    options = finetune_config(config, cell)
    steps, every = options.trainer.steps, options.validate_every
    origin, short = _network(config, cell, _shortened(options))
    task = make_task(short.task, config.task(cell.task).file)
    began = time.perf_counter()
    training = open_finetuning(short, task, folder / "run", origin, cell.fold, folder / "cases", cpu)
    training.fit()
    validated = time.perf_counter()
    training.judge(training.validation_cases, [0])
    once = time.perf_counter() - validated
    rest = validated - began - training.seconds - once
    return training.seconds / STEPS * steps + once * (-(-steps // every) + 1) + rest


def _shortened(options: FinetuneConfig) -> FinetuneConfig:
    trainer = options.trainer.model_copy(update={"steps": STEPS})
    strategy = options.strategy.model_copy(update={"validate_every": STEPS})
    return options.model_copy(update={"trainer": trainer, "strategy": strategy})


def _network(config: StudyConfig, cell: Cell, options: FinetuneConfig) -> tuple[Origin, FinetuneConfig]:
    """Return the randomly initialized network of *cell*, which needs no finished pre-training."""
    arm = config.arm(cell.arm)
    source = config.arm(arm.like or "") if arm.is_random else arm
    if source.weights is not None:
        return Origin(like=source.weights), options
    recipe = recipe_of(config, pretraining_of(source, cell.seed))
    backbone: ComponentSpec = recipe.backbone
    size = options.data.patch_size or recipe.data.patch_size
    data = options.data.model_copy(update={"patch_size": size})
    return Origin(), options.model_copy(update={"backbone": backbone, "data": data})
