"""Time and memory of loading a weights folder, ResEnc-L with 102 million parameters.

    python benchmarks/load.py [--rounds 5] [--backbone resenc_unet_l]

Contenders take turns, each in a process of its own, with the file in the page cache and all imports done. Time runs
until every value has been read once, because ``load_file`` maps the file and reads nothing before. "again" is a second
load in the same process. Memory is the peak above what the process held before. Reference is ``load_file`` with the
network built on ``meta``; "without initializers" is the same with what umzoo spares there, and checks nothing: a floor.
``from_pretrained`` checks the sha256 of the file, its header, and that all values are finite.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from report import write_results
from rich.console import Console
from rich.table import Table
from rounds import summarize_runs
from safetensors.torch import load_file
from torch import nn

import umzoo
from umzoo.backbones.state import canonical_state, expand_aliases, named_tensors
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.networks.construction import build_on_meta

REFERENCE = "load_file + create_model on meta"


def theirs(backbone: Any) -> nn.Module:
    """The network of nnU-Net and nnssl with the architecture of *backbone*, with its aliases and heads."""
    return ResidualEncoderUNet(
        n_blocks_per_stage=backbone.config.n_blocks_per_stage, num_classes=1, deep_supervision=True,
        n_conv_per_stage_decoder=backbone.config.n_conv_per_stage_decoder,
        **{key: value for key, value in backbone._common().items() if key != "return_skips"},
    )  # fmt: skip


def write_files(folder: Path, name: str) -> int:
    """Write random weights as a weights folder and as nnssl's checkpoint; return the number of parameters."""
    backbone = umzoo.create_model(name)
    umzoo.save_pretrained(backbone, folder / "weights")
    with torch.device("meta"):
        network = theirs(backbone)
    heads = {key: torch.zeros(it.shape) for key, it in named_tensors(network).items() if "seg_layers" in key}
    state = expand_aliases({**canonical_state(backbone), **heads}, network)
    torch.save({"network_weights": state}, folder / "checkpoint_final.pth")
    return sum(parameter.numel() for parameter in backbone.parameters())


def from_pretrained(folder: Path) -> nn.Module:
    """What is measured."""
    return umzoo.from_pretrained(folder / "weights")


def reference(folder: Path) -> nn.Module:
    """The bare way, unchecked."""
    with torch.device("meta"):
        network = umzoo.create_model(read_info(folder / "weights").backbone.name)
    network.load_state_dict(load_file(folder / "weights" / "model.safetensors"), assign=True)
    return network.eval()


def floor(folder: Path) -> nn.Module:
    """The bare way, without running initializers on ``meta``."""
    state = load_file(folder / "weights" / "model.safetensors")
    network = build_on_meta(read_info(folder / "weights"), {key: tuple(it.shape) for key, it in state.items()})
    network.load_state_dict(state, assign=True)
    return network.eval()


def checkpoint(folder: Path) -> nn.Module:
    """As nnssl and nnU-Net do it: a network with random weights, and a checkpoint with each name of each tensor."""
    network = theirs(umzoo.create_model(read_info(folder / "weights").backbone.name))
    network.load_state_dict(torch.load(folder / "checkpoint_final.pth", map_location="cpu")["network_weights"])
    return network.eval()


CONTENDERS: dict[str, Callable[[Path], nn.Module]] = {
    REFERENCE: reference,
    "umzoo.from_pretrained": from_pretrained,
    "load_file + meta without initializers": floor,
    "torch.load of 956 names + network": checkpoint,
}


def memory() -> float:
    """Peak memory of this process since the last call, in MiB; since its start where the system cannot tell."""
    status, peak = Path("/proc/self/status"), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if status.is_file():
        peak = next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        Path("/proc/self/clear_refs").write_text("5")
    return peak


def measure(load: Callable[[Path], nn.Module], folder: Path) -> dict[str, float]:
    """Seconds of two loads in this process, and peak MiB of the first one above what was held before."""
    zoo()
    memory()
    before = memory()
    seconds, peak = [], 0.0
    for _ in range(2):
        began = time.perf_counter()
        network = load(folder)
        for tensor in network.state_dict().values():
            tensor.sum()
        seconds.append(time.perf_counter() - began)
        peak = peak or memory() - before
        del network
    return {"seconds": seconds[0], "again": seconds[1], "mib": peak}


def run(name: str, folder: Path) -> dict[str, float]:
    """Measure contender *name* in a fresh process."""
    command = [sys.executable, __file__, "--worker", name, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backbone", default="resenc_unet_l", help="a resenc_unet")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(CONTENDERS[options.worker], options.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        parameters = write_files(Path(temporary), options.backbone)
        rounds = [{name: run(name, Path(temporary)) for name in CONTENDERS} for _ in range(options.rounds + 1)][1:]
    summary = summarize_runs(rounds, REFERENCE)
    title = f"{options.backbone}, {parameters / 1e6:.1f} million parameters, {options.rounds} rounds"
    table = Table("", "first s", "ratio", "again s", "ratio", "peak MiB", "ratio", title=title)
    for name, row in summary.items():
        cells = [f"{row[key]:.{digits}f}" for key, digits in zip(row, (2, 2, 2, 2, 0, 2), strict=True)]
        table.add_row(name, *cells)
    Console().print(table)
    write_results("load", {"backbone": options.backbone, "parameters": parameters, "rounds": options.rounds, **summary})


if __name__ == "__main__":
    main()
