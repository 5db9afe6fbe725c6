"""The table of docs/evidence.md, from the committed rows.

    python benchmarks/evidence.py

Reads ``benchmarks/results/evidence.jsonl``, which ``benchmarks/fewshot.py`` wrote. Each arm is compared with
``scratch``, with the same task, number of labels and seed, subject by subject.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "benchmarks" / "results" / "evidence.jsonl"
PAGE = ROOT / "docs" / "evidence.md"
BEGIN, END = "<!-- table -->", "<!-- end of the table -->"
SCRATCH = "scratch"
RESAMPLES = 10_000
TITLES = ("judged on", "task", "labels", "arm", "step", "seeds", "subjects", "scratch", "arm", "difference (95 %)")

Rows = Sequence[dict[str, Any]]


class Group(NamedTuple):
    """What a line of the table is about."""

    part: str
    task: str
    labels: int
    arm: str
    step: int


def main() -> None:
    """Write the table into the page."""
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")


def table(rows: Rows) -> str:
    """Return the table, a line for each part, task, number of labels, arm and step."""
    lines = [f"| {' | '.join(TITLES)} |", "| --- " * len(TITLES) + "|"]
    for group in groups(rows):
        scratch, own = paired(rows, group)
        low, high = interval(own - scratch)
        means = [f"{values.mean():.3f}" for values in (scratch, own)]
        difference = f"{(own - scratch).mean():+.3f} ({low:+.3f} to {high:+.3f})"
        lines.append(f"| {' | '.join(map(str, (*group, *own.shape, *means, difference)))} |")
    return "\n".join(lines)


def groups(rows: Rows) -> list[Group]:
    """Return what there is of each arm and of its scratch twin, at least for one seed."""
    found = {
        Group(row["part"], row["task"], row["labels"], row["arm"], int(step))
        for row in rows
        for step in row["cases"]
        if row["arm"] != SCRATCH
    }
    return sorted(group for group in found if len(paired(rows, group)[0]))


def paired(rows: Rows, group: Group) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Dice ``(seeds, subjects)`` of scratch and of the arm, for the seeds that both have."""
    scratch, own = (_by_seed(rows, group._replace(arm=arm)) for arm in (SCRATCH, group.arm))
    seeds = sorted(scratch.keys() & own.keys())
    cases = sorted(own[seeds[0]]) if seeds else []
    found = (np.array([[of[seed][case] for case in cases] for seed in seeds]) for of in (scratch, own))
    return next(found), next(found)


def interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean of *differences* ``(seeds, subjects)``, both resampled."""
    rng = np.random.default_rng(0)
    seeds, subjects = (rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n for n in differences.shape)
    low, high = np.percentile(np.einsum("rs,su,ru->r", seeds, differences, subjects), (2.5, 97.5))
    return float(low), float(high)


def _by_seed(rows: Rows, group: Group) -> dict[int, dict[str, float]]:
    """Dice by case, by seed."""
    same = [row for row in rows if (row["part"], row["task"], row["labels"], row["arm"]) == group[:4]]
    return {row["seed"]: row["cases"][str(group.step)] for row in same if str(group.step) in row["cases"]}


if __name__ == "__main__":
    main()
