"""Time of ``umzoo import nnssl`` for a checkpoint of 410 MB, whose pickle a process of its own reads.

    python benchmarks/importing.py [--rounds 5] [--backbone resenc_unet_l]

Contenders take turns, each a process of its own from start to end, with the checkpoint in the page cache. "in one
process" is the same command with ``torch.load(weights_only=True)`` in the place of that reader. "torch.load, save_file,
sha256" checks nothing and writes no more than the tensors: a floor. Beside the time, that of the processors is given,
of all processes together, as others may be at work on the machine; what this file itself imports is
loaded where it is needed, so that each process starts as a command does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REFERENCE = "in one process"


def apart(file: Path, out: Path) -> None:
    """What is measured."""
    from umzoo.cli import make_app

    make_app()(["import", "nnssl", str(file), str(out), "architecture=ResEncL"], standalone_mode=False)


def in_one_process(file: Path, out: Path) -> None:
    """The same, with PyTorch's reader."""
    import torch

    from umzoo.weights.importers import nnssl_files

    nnssl_files.read_checkpoint = lambda source: torch.load(source, map_location="cpu", weights_only=True)
    apart(file, out)


def bare(file: Path, out: Path) -> None:
    """No more than reading, writing, and two sums."""
    import torch
    from safetensors.torch import save_file

    from umzoo.files import fsync_folder, sha256

    named = torch.load(file, map_location="cpu", weights_only=True)["network_weights"]
    once = {tensor.data_ptr(): name for name, tensor in named.items()}
    out.mkdir()
    save_file({name: named[name] for name in once.values()}, out / "model.safetensors")
    sha256(file)
    sha256(out / "model.safetensors")
    fsync_folder(out)


CONTENDERS: dict[str, Callable[[Path, Path], None]] = {
    REFERENCE: in_one_process,
    "umzoo import": apart,
    "torch.load, save_file, sha256": bare,
}


def run(name: str, file: Path, out: Path) -> dict[str, float]:
    """Measure contender *name* in a fresh process."""
    began, before = time.perf_counter(), os.times()
    command = [sys.executable, __file__, "--worker", name, "--file", str(file), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - began, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": seconds, "processor": processor}


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backbone", default="resenc_unet_l", help="a resenc_unet")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        CONTENDERS[options.worker](options.file, options.out)
        return
    from load import write_files
    from report import write_results
    from rich.console import Console
    from rich.table import Table
    from rounds import summarize_runs

    with tempfile.TemporaryDirectory() as temporary:
        write_files(Path(temporary), options.backbone)
        file = Path(temporary) / "checkpoint_final.pth"
        rounds = [_round(file) for _ in range(options.rounds + 1)][1:]
        size = file.stat().st_size
    summary = summarize_runs(rounds, REFERENCE)
    title = f"checkpoint of {size / 1e6:.0f} MB, {options.rounds} rounds"
    table = Table("", "s", "ratio", "processor s", "ratio", title=title)
    for name, row in summary.items():
        table.add_row(name, *(f"{value:.2f}" for value in row.values()))
    Console().print(table)
    write_results("importing", {"bytes": size, "rounds": options.rounds, **summary})


def _round(file: Path) -> dict[str, dict[str, float]]:
    """Each contender once; what they write is removed."""
    with tempfile.TemporaryDirectory(dir=file.parent) as out:
        return {name: run(name, file, Path(out) / str(number)) for number, name in enumerate(CONTENDERS)}


if __name__ == "__main__":
    main()
