"""The table and the picture of docs/evidence.md, from the committed rows.

    python benchmarks/evidence.py

Reads ``benchmarks/results/evidence.jsonl``, which ``benchmarks/fewshot.py`` wrote.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "benchmarks" / "results" / "evidence.jsonl"
PAGE = ROOT / "docs" / "evidence.md"
PICTURE = ROOT / "docs" / "pictures" / "evidence.png"
BEGIN, END = "<!-- table -->", "<!-- end of the table -->"
SCRATCH, PRETRAINED = "scratch", "pretrained"
COLORS = {SCRATCH: "tab:gray", PRETRAINED: "tab:blue"}
RESAMPLES = 10_000

Rows = Sequence[dict[str, Any]]


def main() -> None:
    """Write the table into the page, and the picture beside it."""
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["part"] == "test"]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")
    draw(rows)


def table(rows: Rows) -> str:
    """Return the table: a line for each task, number of labels, and step."""
    titles = ("task", "labels", "step", "seeds", "subjects", "scratch", "pre-trained", "difference (95 % interval)")
    lines = [f"| {' | '.join((*titles, 'seeds ahead'))} |", "| --- " * (len(titles) + 1) + "|"]
    for task, labels, step in groups(rows):
        scratch, pretrained = (dice(rows, arm, task, labels, step) for arm in (SCRATCH, PRETRAINED))
        paired = pretrained - scratch
        low, high = interval(paired)
        cells = [task, labels, step, *paired.shape, f"{scratch.mean():.3f}", f"{pretrained.mean():.3f}"]
        cells += [f"{paired.mean():+.3f} ({low:+.3f} to {high:+.3f})", f"{(paired.mean(1) > 0).sum()} of {len(paired)}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def groups(rows: Rows) -> list[tuple[str, int, int]]:
    """Return task, labels and step of what both arms have."""
    found: dict[str, set[tuple[str, int, int]]] = {SCRATCH: set(), PRETRAINED: set()}
    for row in (row for row in rows if row["arm"] in found):
        found[row["arm"]] |= {(row["task"], row["labels"], int(step)) for step in row["cases"]}
    return sorted(found[SCRATCH] & found[PRETRAINED])


def dice(rows: Rows, arm: str, task: str, labels: int, step: int) -> NDArray[np.float64]:
    """Return Dice ``(seeds, subjects)`` of *arm*, for the seeds that both arms have."""
    of = {
        name: {row["seed"]: row["cases"][str(step)] for row in rows if _is(row, name, task, labels, step)}
        for name in (SCRATCH, PRETRAINED)
    }
    seeds = sorted(of[SCRATCH].keys() & of[PRETRAINED].keys())
    return np.array([[of[arm][seed][case] for case in sorted(of[arm][seed])] for seed in seeds])


def interval(paired: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean of *paired* ``(seeds, subjects)``, both resampled."""
    rng, (seeds, subjects) = np.random.default_rng(0), paired.shape
    means = [
        paired[rng.integers(seeds, size=seeds)][:, rng.integers(subjects, size=subjects)].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def draw(rows: Rows) -> None:
    """Draw Dice against the step, a line for each seed and arm, and an axis for each task."""
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(task for task, _, _ in groups(rows)))
    figure = Figure(figsize=(3.2 * len(tasks), 3.0), layout="constrained")
    for axis, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        for row in (row for row in rows if row["task"] == task and row["arm"] in COLORS):
            steps = sorted(row["dice"], key=int)
            label = row["arm"] if row["seed"] == 0 else None
            values = [row["dice"][step] for step in steps]
            axis.plot(list(map(int, steps)), values, "o-", color=COLORS[row["arm"]], alpha=0.6, label=label)
        axis.set(title=task, xlabel="step of fine-tuning", ylabel="Dice")
        axis.legend(fontsize=7)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110)


def _is(row: dict[str, Any], arm: str, task: str, labels: int, step: int) -> bool:
    return bool((row["arm"], row["task"], row["labels"]) == (arm, task, labels) and str(step) in row["cases"])


if __name__ == "__main__":
    main()
