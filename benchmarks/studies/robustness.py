"""Dice on test scans that were changed: by the gray levels, noise, or the spacing, for arms of a study that is done.

    python benchmarks/studies/robustness.py STUDY OUT --arms scratch shipped --labels 8 --results FOLDER

STUDY is the study's TOML file beside its tables (``tables.py``), OUT its folder. ``robustness.csv`` in FOLDER gets a
row for each answer, what was changed stands where other rows have the label budget, and a table is printed.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from nibabel.processing import resample_to_output
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import umzoo
from umzoo.downstream.finetune.scores import dice_row
from umzoo.downstream.prediction.answers import predict
from umzoo.downstream.prediction.folder import label_values, to_label_map
from umzoo.downstream.study import load_study
from umzoo.downstream.study.cells import finetunings, is_done
from umzoo.downstream.study.config import StudyConfig, StudyTask
from umzoo.downstream.study.results import compare_arms, group_rows
from umzoo.downstream.tasks import load_task

Image = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Values and labels (i, j, k), and the affine (index to mm, RAS)."""
COLUMNS = ("task", "arm", "labels", "seed", "case", "subject", "name", "value")


def unchanged(values: NDArray[Any], labels: NDArray[Any], affine: NDArray[Any]) -> Image:
    """Return the scan as it is."""
    return values, labels, affine


def brighter(values: NDArray[Any], labels: NDArray[Any], affine: NDArray[Any]) -> Image:
    """Raise gray levels, taken to [0, 1], to the power 0.6."""
    low, high = float(values.min()), float(values.max())
    return low + (high - low) * ((values - low) / max(high - low, 1e-6)) ** 0.6, labels, affine


def noisy(values: NDArray[Any], labels: NDArray[Any], affine: NDArray[Any]) -> Image:
    """Add Gaussian noise of a tenth of the range from the 1st to the 99th percentile."""
    low, high = np.percentile(values, (1, 99))
    noise = np.random.default_rng(0).normal(0, 0.1 * (high - low), values.shape)
    return values + noise, labels, affine


def coarser(values: NDArray[Any], labels: NDArray[Any], affine: NDArray[Any]) -> Image:
    """Resample to 1.5 times the spacing."""
    spacing = 1.5 * np.array(nibabel.affines.voxel_sizes(affine))
    made = resample_to_output(nibabel.Nifti1Image(values.astype(np.float32), affine), spacing, order=1)
    truth = resample_to_output(nibabel.Nifti1Image(labels.astype(np.float32), affine), spacing, order=0)
    return made.get_fdata(), np.rint(truth.get_fdata()).astype(labels.dtype), made.affine


CHANGES: dict[str, Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], Image]] = {
    "none": unchanged,
    "gray levels": brighter,
    "noise": noisy,
    "spacing": coarser,
}


def main() -> None:
    """Answer the changed scans, write the rows and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--arms", nargs="+", required=True)
    parser.add_argument("--labels", required=True, help="label budget")
    parser.add_argument("--cases", type=int, help="first test cases of each task; default: all")
    parser.add_argument("--tasks", nargs="+", help="default: all")
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = load_study(options.study)
    tasks = [task for task in config.tasks if task.title in (options.tasks or [task.title])]
    rows = [row for task in tasks for row in answers(config, task, options)]
    with (options.results / "robustness.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    show(rows, config.control)


def answers(config: StudyConfig, task: StudyTask, options: argparse.Namespace) -> Iterator[dict[str, str]]:
    """Yield a row for each changed test scan and network of *task*."""
    cells = [cell for cell in finetunings(config) if cell.task == task.title and cell.arm in options.arms]
    folders = {cell: options.out / cell.name for cell in cells if cell.labels == options.labels}
    models = {cell: umzoo.from_pretrained(it / "run" / "weights") for cell, it in folders.items() if is_done(it)}
    loaded = load_task(task.file)
    for case in [case for case in loaded.cases if case.split == "test"][: options.cases]:
        image, label = (nibabel.nifti1.load(file) for file in (case.images[0], case.label or ""))
        scan = image.get_fdata(), np.rint(label.get_fdata()).astype(np.int64), image.affine
        for change, function in CHANGES.items():
            values, truth, affine = function(*scan)
            for cell, model in models.items():
                dice = _dice(model, values, truth, affine, loaded)
                about = {"task": task.title, "arm": cell.arm, "labels": change, "seed": str(cell.seed)}
                yield {**about, "case": case.id, "subject": case.subject, "name": "dice", "value": f"{dice:.5f}"}


def _dice(model: Any, values: NDArray[Any], truth: NDArray[Any], affine: NDArray[Any], task: Any) -> float:
    """Mean Dice of the classes on the scan's own grid."""
    scan = umzoo.load_scan((values, affine), model, modality="mr")
    numbers = list(range(len(label_values(model.answer))))
    found = to_label_map(scan, predict(model, scan), numbers).values
    return float(dice_row(task, torch.from_numpy(found.astype(np.int64)), truth)["dice"])


def show(rows: list[dict[str, str]], control: str) -> None:
    """Print Dice and differences for each task, change and arm."""
    table = Table("task", "changed", "arm", "Dice", "difference (95 %)", "seeds ahead")
    for task in dict.fromkeys(row["task"] for row in rows):
        groups = group_rows([row for row in rows if row["task"] == task], "segmentation")
        for result in compare_arms(groups, "segmentation", control):
            gap = result.difference
            told = "" if gap is None else f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
            ahead = "" if gap is None else f"{result.ahead} of {result.seeds}"
            table.add_row(task, result.labels, result.arm, f"{result.value.value:.3f}", told, ahead)
    Console().print(table)


if __name__ == "__main__":
    main()
