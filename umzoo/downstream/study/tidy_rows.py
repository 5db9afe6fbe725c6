"""Tidy tables of a study: cells, predictions and learning curves; they are the only input of the report."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from umzoo.downstream.finetune.scores import MAIN
from umzoo.downstream.study.cell_work import finetune_config
from umzoo.downstream.study.cells import Cell, finetunings, pretrainings, read_state
from umzoo.downstream.study.config import StudyConfig
from umzoo.engine.log import read_metrics
from umzoo.errors import DataError
from umzoo.files import written_whole

CELLS, ANSWERS, CURVES = "cells.csv", "answers.csv", "curves.csv"
KEY = ("task", "arm", "labels", "seed", "fold")
COLUMNS = {
    CELLS: ("cell", "kind", *KEY, "state", "seconds", "steps", "task_kind", "failed"),
    ANSWERS: (*KEY, "part", "case", "subject", "name", "value"),
    CURVES: (*KEY, "step", "name", "value"),
}
"""Columns of each file; ``name`` is the name of a metric or predicted number."""
Row = dict[str, Any]


def collect(config: StudyConfig, out: Path) -> None:
    """Write the rows of all cells of the study in *out*, with the results of finished cells."""
    cells = [*pretrainings(config), *finetunings(config)]
    write_rows(out / CELLS, (_cell(config, out, cell) for cell in cells))
    done = [cell for cell in cells if cell.kind == "finetuning" and read_state(out / cell.name).get("done")]
    write_rows(out / ANSWERS, (row for cell in done for row in _answers(out / cell.name / "run", cell)))
    write_rows(out / CURVES, (row for cell in done for row in _curves(config, out / cell.name / "run", cell)))


def _cell(config: StudyConfig, out: Path, cell: Cell) -> Row:
    state = read_state(out / cell.name)
    ended = "done" if state.get("done") else "failed" if state.get("failed") else "not done"
    lines = read_metrics(out / cell.name / "run" / "metrics.jsonl")
    kind = finetune_config(config, cell).task.kind if cell.kind == "finetuning" else ""
    return {
        "cell": cell.name,
        **asdict(cell),
        "state": ended,
        "seconds": state.get("seconds"),
        "steps": lines[-1]["step"] if lines else 0,
        "task_kind": kind,
        "failed": state.get("failed", ""),
    }


def _key(cell: Cell) -> Row:
    return {name: getattr(cell, name) for name in KEY}


def _answers(run: Path, cell: Cell) -> Iterator[Row]:
    """Yield the predictions for test cases, or for validation cases if the task has no test cases."""
    part = "test" if (run / "test.csv").is_file() else "validation"
    with (run / f"{part}.csv").open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            start = {**_key(cell), "part": part, "case": line.pop("case"), "subject": line.pop("subject")}
            yield from ({**start, "name": name, "value": value} for name, value in line.items())


def _curves(config: StudyConfig, run: Path, cell: Cell) -> Iterator[Row]:
    """Yield training loss and primary validation metric by step."""
    names = {"loss": "loss", f"val.{MAIN[finetune_config(config, cell).task.kind]}": "metric"}
    for line in read_metrics(run / "metrics.jsonl"):
        for name, title in names.items():
            if line.get(name) is not None:
                yield {**_key(cell), "step": line["step"], "name": title, "value": line[name]}


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write *rows* with the columns that :data:`COLUMNS` lists for the name of *file*."""
    with written_whole(file) as new, new.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS[file.name], extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(file: Path) -> Sequence[dict[str, str]]:
    """Return the rows of *file*.

    Raises:
        DataError: if it cannot be read, or is not a table of a study.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except OSError as error:
        raise DataError(
            f"{file} cannot be read ({error.strerror}): give the folder of a study with its tables"
        ) from None
    if set(reader.fieldnames or ()) != set(COLUMNS[file.name]):
        raise DataError(
            f"{file} has columns {', '.join(reader.fieldnames or ())}, expected {', '.join(COLUMNS[file.name])}:"
            " give the folder of a study"
        )
    return rows
