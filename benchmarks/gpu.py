"""What a GPU must do, in at most ten minutes: checks of correctness, then speed and memory of the recipe ``universal``.

    make gpu
    python benchmarks/gpu.py [--minutes 10] [--cpu] [--sizes 96 128 160]

Every check and every timing is run whatever became of the others. ``benchmarks/results/gpu.json`` says what came out,
and what there was no time for. ``--cpu`` tries the script itself, where there is no GPU.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from report import write_results
from rich.console import Console
from rich.table import Table
from trainer import measure

from umzoo.data.phantoms.files import write_phantoms
from umzoo.data.preparing.prepare import prepare
from umzoo.engine.log import read_metrics
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run, open_run
from umzoo.engine.trainer import Trainer
from umzoo.errors import in_one_line
from umzoo.fields import Rng, to_device
from umzoo.plugins import zoo

Check = Callable[[], None]
SMALL: dict[str, dict[str, Any]] = {
    "genesis_unet": {"width": 4},
    "plainconv_unet": {"features_per_stage": [8, 16, 32]},
    "resenc_unet_s": {"features_per_stage": [8, 16, 32]},
    "primus_s": {"depth": 2},
    "resnet3d_10": {"width": 8},
}
TINY = ("data.patch_size=[32,32,32]", "data.batch_size=2", "data.workers=1", "trainer.probe_volumes=4")
QUIET = ("trainer.steps=1000000", "trainer.probe_every=1000000", "trainer.picture_every=1000000")


def corruption_agrees(name: str, device: torch.device) -> None:
    """The corruption gives on *device* what it gives on the CPU, for the same draws."""
    corruption = zoo().corruptions.build({"name": name})
    image = Rng(0).uniform((4, 1, 24, 20, 28))
    draws = corruption.draw(image, Rng(1))
    expected = corruption.apply(image.clone(), copy.deepcopy(draws))
    found = corruption.apply(image.to(device), to_device(draws, device)).cpu()
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def backbone_agrees(name: str, device: torch.device) -> None:
    """The network answers on *device* as on the CPU, and in bf16 nearly so."""
    model = zoo().backbones.build({"name": name, **SMALL[name]}).eval()
    size = tuple(max(32, step) for step in model.info.divisor)
    image = Rng(0).uniform((2, model.info.in_channels, *size))
    with torch.no_grad():
        expected = model(image).pooled
        there = copy.deepcopy(model).to(device)
        torch.testing.assert_close(there(image.to(device)).pooled.cpu(), expected, atol=1e-3, rtol=1e-2)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            half = there(image.to(device)).pooled.float().cpu()
    error = float((half - expected).norm() / expected.norm())
    if not error < 0.1:
        raise ValueError(f"bf16 differs by {error:.2f} of the norm")


def trains(folder: Path, store: Path, cpu: bool, *changes: str) -> None:
    """Six steps end in finite losses; stopped after four and resumed, the last two are nearly the same."""
    recipe = load_recipe("universal_tiny", [*TINY, "trainer.steps=6", "trainer.log_every=1", *changes])
    Trainer(Run(folder / "whole", recipe, store), cpu=cpu).fit()
    short = Trainer(Run(folder / "part", recipe, store), cpu=cpu)
    short._agree = lambda signum: 15 if short.step == 4 else None  # type: ignore[method-assign]
    short.fit()
    Trainer(open_run(folder / "part"), resume=True, cpu=cpu).fit()
    whole, part = ([it["loss"] for it in read_metrics(folder / n / "metrics.jsonl") if "loss" in it]
                   for n in ("whole", "part"))  # fmt: skip
    torch.testing.assert_close(torch.tensor(part), torch.tensor(whole), atol=0.05, rtol=0.05)


def checks(folder: Path, store: Path, device: torch.device) -> Iterator[tuple[str, Check]]:
    """Yield what is checked, cheapest first."""
    for name in zoo().corruptions:
        yield f"corruption {name}", partial(corruption_agrees, name, device)
    for name in SMALL:
        yield f"backbone {name}", partial(backbone_agrees, name, device)
    cpu = device.type == "cpu"
    for title, *changes in (
        ("fp32",),
        ("bf16", "trainer.precision=bf16"),
        ("bf16, compiled", "trainer.precision=bf16", "trainer.compile=true"),
        ("channels last", "trainer.channels_last=true"),
        ("average and accumulation", "trainer.ema=0.9", "trainer.accumulate=2"),
    ):
        yield f"training and resume, {title}", partial(trains, folder / title, store, cpu, *changes)


def speed(folder: Path, store: Path, size: int, compiled: bool, cpu: bool) -> dict[str, Any]:
    """Step time, share of data wait and corruption, and peak memory of ``universal`` with patches of *size*."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    changes = [*QUIET, f"data.patch_size=[{size},{size},{size}]", f"trainer.compile={str(compiled).lower()}"]
    changes += ["data.batch_size=2", "data.workers=8" if not cpu else "data.workers=1"]
    trainer = Trainer(Run(folder / f"{size}-{compiled}", load_recipe("universal", changes), store), cpu=cpu)
    return measure(trainer, rounds=3, count=5 if not cpu else 1)


def attempt(action: Callable[[], Any]) -> dict[str, Any]:
    """Run *action*; an error becomes a line of the report."""
    began = time.perf_counter()
    try:
        found = action()
    except Exception as error:  # noqa: BLE001 - the others are run whatever became of this one
        found = {"error": f"{type(error).__name__}: {in_one_line(error, 400)}"}
    return {**(found or {}), "seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    """Check and measure until the time is over; exit code 1 if a check failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--cpu", action="store_true", help="without a GPU, to try the script")
    parser.add_argument("--sizes", type=int, nargs="*", default=[96, 128, 160])
    options = parser.parse_args()
    if not options.cpu and not torch.cuda.is_available():
        parser.exit(2, "no CUDA device was found: install a build of PyTorch for CUDA, or try the script with --cpu\n")
    end, device = time.monotonic() + 60 * options.minutes, torch.device("cpu" if options.cpu else "cuda")
    table, results = Table("what", "result", "s"), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_phantoms(folder / "scans", ct=2, mr=2, size=(96, 96, 96))
        prepare([folder / "scans"], folder / "store", modality=("ct=*/ct/*", "mr=*/mr/*"))
        work = list(checks(folder, folder / "store", device))
        work += [
            (
                f"universal, {size}^3{', compiled' if it else ''}",
                partial(speed, folder, folder / "store", size, it, options.cpu),
            )
            for size in options.sizes
            for it in (False, True)
        ]
        for title, action in work:
            found = results[title] = attempt(action) if time.monotonic() < end else {"skipped": "no time was left"}
            told = found.get("error") or found.get("skipped") or _told(found)
            table.add_row(title, told, str(found.get("seconds", "")))
    Console().print(table)
    write_results("gpu-tried-on-cpu" if options.cpu else "gpu", {"results": results})
    sys.exit(any("error" in found for found in results.values()))


def _told(found: dict[str, Any]) -> str:
    if "patches_per_second" not in found:
        return "ok"
    memory = found["peak_memory_gib"]
    shares = f"corruption {found['corruption_share']:.1%}, data wait {found['data_wait_share']:.1%}"
    return f"{found['patches_per_second']:.2f} patches/s, {shares}, {'-' if memory is None else f'{memory:.1f} GiB'}"


if __name__ == "__main__":
    main()
