"""The page from made-up rows: what it says, draws and owns up to."""

import csv
import json

import pytest

from umzoo.downstream.study import StudyConfig, write_report
from umzoo.downstream.study.figures import arm_lines
from umzoo.downstream.study.tidy_rows import COLUMNS
from umzoo.errors import DataError

PROTOCOL = {
    "name": "Made up",
    "control": "scratch",
    "labels": ["4", "100%"],
    "seeds": [0, 1, 2],
    "arms": [{"name": "scratch"}, {"name": "better", "weights": "somewhere"}],
    "tasks": [{"file": "organs.toml"}],
}
GAIN = 0.1


def write_made_up(folder, part="test", failed="", seeds=3):
    StudyConfig.parse(PROTOCOL)
    (folder / "study.json").write_text(json.dumps(PROTOCOL))
    rows = {name: [] for name in COLUMNS}
    for arm in ("scratch", "better"):
        for labels in ("4", "100%"):
            for seed in range(seeds):
                key = {"task": "organs", "arm": arm, "labels": labels, "seed": seed, "fold": ""}
                value = 0.5 + 0.2 * (labels == "100%") + GAIN * (arm == "better") + 0.01 * seed
                state = {"state": "failed" if failed and seed == 2 else "done", "failed": failed if seed == 2 else ""}
                cell = {"cell": f"{arm}-{labels}-{seed}", "kind": "finetuning", "task_kind": "segmentation"}
                rows["cells.csv"].append({**key, **cell, **state})
                if state["state"] == "failed":
                    continue
                for case in range(6):
                    said = {"part": part, "case": case, "subject": case, "name": "dice", "value": value + 0.02 * case}
                    rows["answers.csv"].append({**key, **said})
                for step in (10, 20, 30):
                    gone = min(1.0, (step + 10 * (arm == "better")) / 30)
                    rows["curves.csv"].append({**key, "step": step, "name": "metric", "value": value * gone})
    for name, columns in COLUMNS.items():
        with (folder / name).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows[name])


def test_few_seeds_are_never_bold(tmp_path):
    write_made_up(tmp_path, seeds=2)
    page = write_report(tmp_path).read_text()
    rows = [line for line in page.splitlines() if "| better |" in line]
    assert len(rows) == 2 and all("| +0.100 [+0.100, +0.100] | 2 of 2" in row for row in rows)


def test_tables_and_pictures(tmp_path):
    write_made_up(tmp_path)
    page = write_report(tmp_path).read_text()
    rows = [line for line in page.splitlines() if "| better |" in line]
    assert len(rows) == 2 and all("**+0.100 [+0.100, +0.100]**" in row and "3 of 3" in row for row in rows)
    assert all(row.endswith("| 20 | 0.67 |") for row in rows)
    for picture in ("learning-organs.png", "labels-organs.png"):
        assert (tmp_path / picture).stat().st_size > 1000 and picture in page
    assert "12 of 12 trainings are done" in page and "missing" not in page and "chose the step" not in page


def test_failures_and_validation_cases_are_owned_up_to(tmp_path):
    write_made_up(tmp_path, part="validation", failed="out of memory")
    page = write_report(tmp_path).read_text()
    assert "8 of 12 trainings are done, 4 failed; **the other trainings are missing from the tables**" in page
    assert page.count("out of memory") == 4 and "2 of 2" in page and "chose the step" in page


def test_rows_of_something_else_are_refused(tmp_path):
    write_made_up(tmp_path)
    (tmp_path / "cells.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="has columns a, b, expected cell"):
        write_report(tmp_path)


def test_no_two_arms_have_one_line():
    lines = arm_lines(["control", *(f"arm {number}" for number in range(15))], "control")
    assert len({tuple(line.items()) for line in lines.values()}) == len(lines) == 16
