"""Few labels, with and without weights: cells of arm, task, number of labels and seed, each a fine-tuning.

    python benchmarks/fewshot.py ROWS.jsonl --data FOLDER --like WEIGHTS --arms scratch= pretrained=WEIGHTS

FOLDER holds the data sets of :data:`TASKS`, and ``manifest.csv`` with the columns ``file``, ``role`` (``image`` or
``label``) and ``subject``. Subjects are judged on, or trained on, by a hash of their name (:func:`part`), to which the
pre-training keeps as well (``benchmarks/weights.py``). Arms share the cases, the crops, the order of the crops and the
initial values of the head. Cells that ROWS.jsonl has are not run again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from umzoo.data.volume import stem_of
from umzoo.downstream.finetune.config import FinetuneConfig
from umzoo.downstream.finetune.network import Origin, expected_input
from umzoo.downstream.finetune.training import FineTuningRun
from umzoo.downstream.tasks import Split, make_task

TEST, DEVELOPMENT = 0.3, 0.5
"""Shares of the hash below which a subject is judged on in the end, and while choices are made."""
NEVER = 10**6


@dataclass(frozen=True)
class Labeled:
    """A labeled data set: its folder, and the crops (D, H, W) and mm it is seen at; None is that of the weights."""

    folder: str
    patch: tuple[int, int, int]
    spacing: tuple[float, float, float] | None = None


TASKS = {
    "hippocampus": Labeled("Task04_Hippocampus", (24, 24, 24)),
    "brain": Labeled("Task92_BrainStructures", (24, 24, 24), (4.0, 4.0, 4.0)),
    "cardiac": Labeled("Task93_ACDC", (8, 40, 40), (10.0, 3.0, 3.0)),
    "atrium": Labeled("Task94_LeftAtrium", (16, 32, 32), (3.0, 3.0, 3.0)),
}


def place(folder: str, subject: str) -> float:
    """Return where *subject* lies in [0, 1)."""
    digest = hashlib.sha256(f"umzoo-evidence:{folder}:{subject}".encode()).hexdigest()
    return float(int(digest[:8], 16) / 2**32)


def part(folder: str, subject: str) -> str:
    """Return what *subject* is for: ``test``, ``dev`` or ``train``."""
    where = place(folder, subject)
    return "test" if where < TEST else "dev" if where < DEVELOPMENT else "train"


def read_manifest(data: Path) -> list[dict[str, str]]:
    """Return the rows of ``manifest.csv`` in *data*."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Cell(FineTuningRun):
    """A fine-tuning that is validated at the steps *marks* and in the end, and keeps nothing on disk."""

    marks: frozenset[int] = frozenset()

    def __init__(self, *args: Any, **options: Any) -> None:
        self.kept: dict[int, dict[str, float]] = {}
        super().__init__(*args, **options)

    def save(self) -> None:
        """Write no checkpoint."""

    def _evaluate(self, last: bool = False) -> None:
        if self.step and (last or self.step in self.marks):
            self.kept[self.step] = {row["case"]: round(row["dice"], 4) for row in self.validate([0])[0]}


@dataclass(frozen=True)
class Bench:
    """What all cells share: the data, the subject of each case, and the options of the command line."""

    data: Path
    subjects: dict[str, str]
    options: argparse.Namespace

    def cases(self, task: Labeled, ids: list[str], seed: int, labels: int) -> tuple[list[str], list[str]]:
        """Return the cases to train on and to judge on, one of each subject."""
        order = sorted(ids, key=lambda id: (place(task.folder, self.subjects[id]), id))
        first = {self.subjects[id]: id for id in reversed(order)}
        parts = {id: part(task.folder, subject) for subject, id in first.items()}
        judged = [id for id in order if id in parts and parts[id] == self.options.part][: self.options.most]
        learners = {"train"} if self.options.part == "dev" else {"train", "dev"}
        pool = sorted(id for id in parts if parts[id] in learners)
        return [pool[i] for i in np.random.default_rng((7, seed)).permutation(len(pool))[:labels]], judged

    def run(self, name: str, weights: str, labels: int, seed: int) -> dict[int, dict[str, float]]:
        """Return Dice of each judged case, by step."""
        task, options = TASKS[name], self.options
        config = _config(self.data / task.folder, task, options, seed)
        full = make_task(config.task, Path.cwd() / "task.toml")
        by_id = {case.id: case for case in full.cases}
        train, judged = self.cases(task, list(by_id), seed, labels)
        split = Split(tuple(by_id[id] for id in train), tuple(by_id[id] for id in judged))
        full = replace(full, cases=split.train + split.validation)
        origin = Origin(weights) if weights else Origin(None, options.like)
        Cell.marks = frozenset(options.marks)
        with tempfile.TemporaryDirectory() as folder:
            cell = Cell(
                Path(folder),
                config,
                full,
                split,
                origin,
                expected_input(origin, config, 1),
                cases=options.cache,
                about={},
                cpu=True,
            )
            cell.fit()
        return cell.kept


def _config(folder: Path, task: Labeled, options: argparse.Namespace, seed: int) -> FinetuneConfig:
    never = {"log_every": NEVER, "picture_every": NEVER, "checkpoint_every": NEVER}
    spacing = {"spacing": task.spacing} if task.spacing else {}
    table = {
        "task": {"kind": "segmentation", "data": str(folder)},
        "seed": seed,
        "data": {"patch_size": task.patch, "batch_size": 2, "overlap": 0.25, **spacing},
        "optim": {"lr": options.lr, "weight_decay": 1e-4, "schedule": "poly"},
        "trainer": {"steps": options.steps, **never},
    }
    return FinetuneConfig.parse(table)


def main() -> None:
    """Run the cells that are not there yet, seeds outermost, so that what is there is balanced at any time."""
    options, console = _parse(), Console()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    images = [row for row in read_manifest(options.data) if row["role"] == "image"]
    subjects = {stem_of(Path(row["file"])): row["subject"] for row in images}
    bench, keys = Bench(options.data, subjects, options), ("arm", "task", "labels", "seed", "steps", "lr")
    lines = options.rows.read_text(encoding="utf-8").splitlines() if options.rows.exists() else []
    done = {tuple(row[key] for key in keys) for row in map(json.loads, lines)}
    for seed, task, labels, arm in _grid(options):
        name, _, weights = arm.partition("=")
        cell = dict(zip(keys, (name, task, labels, seed, options.steps, options.lr), strict=True))
        if tuple(cell.values()) in done:
            continue
        began = time.process_time()
        cases = bench.run(task, weights, labels, seed)
        dice = {step: round(float(np.mean(list(found.values()))), 4) for step, found in cases.items()}
        row = {**cell, "part": options.part, "dice": dice, "cases": cases}
        row["cpu"] = round(time.process_time() - began, 1)
        with options.rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        console.print(cell, dice)


def _grid(options: argparse.Namespace) -> list[tuple[int, str, int, str]]:
    return [
        (seed, task, labels, arm)
        for seed in options.seeds
        for task in options.tasks
        for labels in options.labels
        for arm in options.arms
    ]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", type=Path, help="JSON lines that rows are added to")
    parser.add_argument("--data", type=Path, required=True, help="folder of the labeled data sets")
    parser.add_argument("--like", required=True, help="weights that say which network arms without weights have")
    parser.add_argument("--arms", nargs="+", required=True, help="NAME=WEIGHTS, or NAME= for random values")
    parser.add_argument("--part", choices=["dev", "test"], default="dev", help="subjects that are judged on")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--labels", nargs="+", type=int, default=[4])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--marks", nargs="*", type=int, default=[50], help="steps at which is validated too")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--most", type=int, default=8, help="subjects to judge on, at most")
    parser.add_argument("--cache", type=Path, default=Path("cases"), help="folder of the cached scans")
    return parser.parse_args()


if __name__ == "__main__":
    main()
