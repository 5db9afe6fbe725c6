"""Whether what is seen and learned depends on how many processes train: losses and weights of the same run, split up.

    python benchmarks/processes.py [--steps 10] [--data STORE]

Each row trains the same recipe with eight patches a step on the CPU: in one process, in two or four (torchrun), in
parts of a step (``trainer.accumulate``), or in two processes and from the checkpoint half way in one. It is compared
with one process that takes all eight at once. *loss* is the greatest relative difference of a step's loss; *weights*
the length of the difference of the backbone's weights, as a share of how far training moved them. The last row starts
from the same weights and sees other samples. Without ``--data`` phantoms are made.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from report import write_results
from rich.console import Console
from rich.table import Table

from umzoo.data.phantoms.files import write_phantoms
from umzoo.data.preparing.prepare import prepare
from umzoo.engine.checkpoint import latest_checkpoint, load_checkpoint
from umzoo.engine.export import export_run
from umzoo.engine.log import read_metrics
from umzoo.engine.run import open_run

RECIPE = (
    "universal_tiny",
    'backbone={name="resenc_unet_s", features_per_stage=[4, 6, 8], n_blocks_per_stage=1}',
    "data.patch_size=[16, 16, 16]", "data.workers=1", "optim.name=sgd", "optim.lr=0.01",
    "trainer.log_every=1", "trainer.picture_every=100000", "trainer.probe_every=100000",
)  # fmt: skip
"""Instance norm, as batch norm counts the items of a process; SGD, as Adam divides rounding by its own size."""
ROWS: dict[str, tuple[int, int, int]] = {
    "1 process x 8": (1, 8, 1),
    "2 processes x 4": (2, 4, 1),
    "4 processes x 2": (4, 2, 1),
    "1 process x 4, two parts": (1, 4, 2),
    "2 processes x 1, four parts": (2, 1, 4),
}
"""Processes, patches of each at a time, and parts of a step."""
RESUMED, CONTROL, START = "2 processes x 4, from half way by 1", "other samples", "start"


def main() -> None:
    """Train all, print a table and write ``results/processes.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--data", type=Path, help="a store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = options.data or make_store(folder)
        for row, (processes, patches, parts) in ROWS.items():
            train(folder / row, store, options.steps, processes, patches, parts)
        train(folder / RESUMED, store, options.steps, 2, 4, 1, f"trainer.checkpoint_every={options.steps // 2}")
        shutil.rmtree(newest(folder / RESUMED), ignore_errors=True)
        pretrain(1, "--resume", str(folder / RESUMED), "--cpu")
        train(folder / START, store, 1, 1, 8, 1, "optim.lr=1e-30")
        export_run(open_run(folder / START), folder / "weights")
        train(folder / CONTROL, store, options.steps, 1, 8, 1, "seed=1", "--weights", str(folder / "weights"))
        rows = [compare(folder, row) for row in (*ROWS, RESUMED, CONTROL)]
    show(rows)
    Console().print(f"written to {write_results('processes', {'steps': options.steps, 'rows': rows})}")


def make_store(folder: Path) -> Path:
    """A store of phantoms in *folder*."""
    write_phantoms(folder / "scans", ct=4, mr=4, size=(40, 40, 40))
    prepare([folder / "scans"], folder / "store", modality=("ct=**/ct/**", "mr=**/mr/**"), workers=0)
    return folder / "store"


def train(out: Path, store: Path, steps: int, processes: int, patches: int, parts: int = 1, *changes: str) -> None:
    """Train *steps* steps into the folder *out*."""
    sizes = (f"data.batch_size={patches}", f"trainer.accumulate={parts}", f"trainer.steps={steps}")
    pretrain(processes, *RECIPE, *sizes, *changes, "--data", str(store), "--out", str(out), "--cpu")


def pretrain(processes: int, *arguments: str) -> None:
    """Run ``umzoo pretrain`` in that many *processes*, with one thread each."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "umzoo", "pretrain", *arguments]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}")


def compare(folder: Path, row: str) -> dict[str, Any]:
    """How *row* differs from the first of :data:`ROWS`."""
    whole, other = (losses(folder / name) for name in (next(iter(ROWS)), row))
    start, first, second = (weights(folder / name) for name in (START, next(iter(ROWS)), row))
    return {
        "run": row,
        "steps": len(other),
        "loss": max(abs(other[step] / loss - 1) for step, loss in whole.items()),
        "weights": float((second - first).norm() / (first - start).norm()),
    }


def losses(folder: Path) -> dict[int, float]:
    """The loss of each step."""
    return {line["step"]: line["loss"] for line in read_metrics(folder / "metrics.jsonl") if "loss" in line}


def weights(folder: Path) -> torch.Tensor:
    """The backbone's weights in the newest checkpoint, in a row."""
    state = load_checkpoint(newest(folder))["model"]
    return torch.cat([state[name].double().flatten() for name in sorted(state) if name.startswith("backbone.")])


def newest(folder: Path) -> Path:
    """The newest checkpoint of the run in *folder*."""
    found = latest_checkpoint(folder / "checkpoints")
    if found is None:
        raise SystemExit(f"{folder} has no checkpoint")
    return found


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table("run", "steps", "loss", "weights", title="difference from one process that takes all eight")
    for row in rows:
        table.add_row(row["run"], str(row["steps"]), f"{row['loss']:.1e}", f"{row['weights']:.1e}")
    Console().print(table)


if __name__ == "__main__":
    main()
