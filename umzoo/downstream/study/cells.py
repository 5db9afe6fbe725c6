"""The cells of a study: each is one training with its own folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from umzoo.downstream.study.config import ArmConfig, StudyConfig
from umzoo.errors import ConfigError, nearest
from umzoo.files import read_json, replace_text

STATE = "cell.json"
"""State file in a cell's folder: options, seconds, whether it is done, and the reason if it failed."""


@dataclass(frozen=True)
class Cell:
    """One training of a study.

    Attributes:
        kind: kind of training.
        arm: name of the arm.
        seed: seed of the training.
        task: name of the task, for a fine-tuning.
        labels: label budget, for a fine-tuning.
        fold: validation fold; None uses the split of the data.
    """

    kind: Literal["pretraining", "finetuning"]
    arm: str
    seed: int
    task: str = ""
    labels: str = ""
    fold: int | None = None

    @property
    def name(self) -> str:
        """Folder of the cell, relative to that of the study."""
        fold = [] if self.fold is None else [f"fold-{self.fold}"]
        parts = [self.kind, self.task, self.arm, self.labels.replace("%", "percent"), f"seed-{self.seed}", *fold]
        return "/".join(filter(None, parts))


def pretrainings(config: StudyConfig) -> Iterator[Cell]:
    """Yield the pre-trainings of arms with a recipe: one per seed, or one for all seeds if the arm has a seed."""
    trained = [arm for arm in config.arms if arm.recipe is not None]
    yield from dict.fromkeys(pretraining_of(arm, seed) for seed in config.seeds for arm in trained)


def pretraining_of(arm: ArmConfig, seed: int) -> Cell:
    """Return the pre-training that initializes *arm* in the fine-tunings of *seed*."""
    return Cell("pretraining", arm.name, seed if arm.seed is None else arm.seed)


def finetunings(config: StudyConfig) -> Iterator[Cell]:
    """Yield the fine-tunings, ordered by seed, so that pairs of arms are complete early."""
    for seed in config.seeds:
        for task in config.tasks:
            for labels in config.labels:
                for fold in task.folds or (None,):
                    yield from (Cell("finetuning", arm, seed, task.title, labels, fold) for arm in config.names)


def cell_named(config: StudyConfig, name: str) -> Cell:
    """Return the cell *name*.

    Raises:
        ConfigError: if there is no such cell.
    """
    cells = {cell.name: cell for cell in (*pretrainings(config), *finetunings(config))}
    if name not in cells:
        raise ConfigError(f"the study has no cell '{name}'{nearest(name, cells)}")
    return cells[name]


def read_state(folder: Path) -> dict[str, Any]:
    """Return the state of the cell in *folder*; empty if the file is missing or damaged."""
    try:
        return read_json(folder / STATE)
    except ConfigError:
        return {}


def write_state(folder: Path, **state: Any) -> None:
    """Update the state of the cell in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {**read_state(folder), **state}
    replace_text(folder / STATE, json.dumps(content, indent=1))


def is_done(folder: Path) -> bool:
    """Return whether the cell in *folder* has finished successfully."""
    return bool(read_state(folder).get("done"))
