"""Patches per second of umzoo's corruptions against those of Models Genesis, one thread, in one process.

    git clone https://github.com/MrGiovanni/ModelsGenesis
    python benchmarks/corruptions.py --models-genesis ModelsGenesis

Both corrupt batches drawn from the same smooth, slightly noisy patches in [0, 1] with their default
probabilities, and both pick their batch from memory. Rounds are interleaved; factors are paired within rounds;
the numbers are medians over rounds of CPU time, which is wall time on an idle machine.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from report import describe_machine
from rich.console import Console
from rich.table import Table
from torch.nn.functional import interpolate

from umzoo.corruptions.pipeline import Pipeline
from umzoo.fields import Rng
from umzoo.noise import fast
from umzoo.plugins import zoo

RESULTS = Path(__file__).parent / "results" / "corruptions.json"
ORIGINAL = "Models Genesis"
CASES = {(32, 64, 64): 6, (96, 96, 96): 2}
"""Patch size (D, H, W) to batch size."""
POOL = 24
"""Patches in memory."""


def main() -> None:
    """Measure, print a table and write ``results/corruptions.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-genesis", type=Path, required=True, help="checkout of MrGiovanni/ModelsGenesis")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=0.5, help="about how long each contender runs in a round")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the numbers go")
    options = parser.parse_args()
    torch.set_num_threads(1)
    original = load_original(options.models_genesis)
    cases = [measure(size, batch, original, options) for size, batch in CASES.items()]
    report = {"machine": describe_numerics(), "method": {"rounds": options.rounds, "threads": 1}, "cases": cases}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    Console().print(table(cases))


def load_original(checkout: Path) -> types.ModuleType:
    """Import ``pytorch/utils.py`` of *checkout*; what it imports but does not use here need not be installed."""
    if not (checkout / "pytorch" / "utils.py").is_file():
        raise SystemExit(f"no pytorch/utils.py in {checkout}: give a checkout of MrGiovanni/ModelsGenesis")
    for name in ("imageio", "skimage.transform"):
        package = name.partition(".")[0]
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            stub = types.ModuleType(name)
            vars(stub)["resize"] = None
            sys.modules.update({package: stub, name: stub})
    spec = importlib.util.spec_from_file_location("models_genesis_utils", checkout / "pytorch" / "utils.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{checkout} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(size: tuple[int, int, int], batch: int, original: types.ModuleType, options: argparse.Namespace) -> dict:
    """Return milliseconds per patch of every contender, and factors against the original."""
    patches = smooth_patches(size)
    contenders = {
        ORIGINAL: original_step(patches, batch, original),
        "umzoo, tiles": our_step(patches, batch, "tiles"),
        "umzoo, exact": our_step(patches, batch, "exact"),
        "umzoo, tiles, without numba": without_numba(our_step(patches, batch, "tiles")),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    repeats = {name: warm_up(step, options.seconds) for name, step in contenders.items()}
    for _ in range(options.rounds):
        for name, step in contenders.items():
            times[name].append(cpu_seconds(step, repeats[name]) / (repeats[name] * batch) * 1e3)
    return {
        "size": list(size),
        "batch": batch,
        "ms_per_patch": {name: statistics.median(values) for name, values in times.items()},
        "quartiles": {name: list(np.quantile(values, [0.25, 0.75])) for name, values in times.items()},
        "factor": {
            name: statistics.median(one / other for one, other in zip(times[ORIGINAL], values, strict=True))
            for name, values in times.items()
        },
    }


def smooth_patches(size: tuple[int, int, int]) -> torch.Tensor:
    """Return patches ``(24, 1, D, H, W)`` in [0, 1]: structures of about 8 voxels, and noise of 2 %."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(POOL, 1, *(s // 8 for s in size), generator=generator)
    noise = torch.randn(POOL, 1, *size, generator=generator)
    return (interpolate(coarse, size, mode="trilinear") + 0.02 * noise).clamp_(0, 1)


def original_step(patches: torch.Tensor, batch: int, original: types.ModuleType) -> Callable[[], object]:
    """One batch of Models Genesis, with the probabilities of its ``pytorch/config.py`` and axes (x, y, z)."""
    config = types.SimpleNamespace(
        flip_rate=0.4, local_rate=0.5, nonlinear_rate=0.9, paint_rate=0.9, inpaint_rate=0.2, save_samples=None
    )
    cubes = np.ascontiguousarray(patches.numpy().transpose(0, 1, 4, 3, 2))
    pairs = original.generate_pair(cubes, batch, config)
    return lambda: next(pairs)


def our_step(patches: torch.Tensor, batch: int, law: str) -> Callable[[], object]:
    """One batch of umzoo: the same corruptions, with our default probabilities, which are the same."""
    specs = ["flip", {"name": "local_shuffle", "law": law}, "bezier", "paint"]
    pipeline = Pipeline([zoo().corruptions.build(spec) for spec in specs])
    steps = iter(range(10**9))

    def step() -> object:
        rng = Rng(0, next(steps))
        return pipeline(patches[rng.permutation(len(patches))[:batch]], rng)

    return step


def without_numba(step: Callable[[], object]) -> Callable[[], object]:
    """*step* as it runs where numba is not installed."""

    def slower() -> object:
        with mock.patch.object(fast, "kernels", lambda module: None):
            return step()

    return slower


def warm_up(step: Callable[[], object], seconds: float) -> int:
    """Run *step* for a while, and return how many fit into *seconds*."""
    cpu_seconds(step, 3)
    return max(1, round(seconds / (cpu_seconds(step, 3) / 3)))


def cpu_seconds(step: Callable[[], object], repeats: int) -> float:
    """Return the CPU seconds that *repeats* of *step* take."""
    begin = time.process_time()
    for _ in range(repeats):
        step()
    return time.process_time() - begin


def describe_numerics() -> dict[str, object]:
    """Return machine and versions, with those of the numerical libraries."""
    has_numba = importlib.util.find_spec("numba") is not None
    numba = importlib.import_module("numba").__version__ if has_numba else None
    return {**describe_machine(), "numpy": np.__version__, "numba": numba}


def table(cases: list[dict]) -> Table:
    """Return the results as a table."""
    result = Table(title="Corruption, one thread (medians)")
    for heading in ("patch (D, H, W)", "batch", "contender", "ms / patch", "patches / s", "factor"):
        result.add_column(heading, justify="left" if heading == "contender" else "right")
    for case in cases:
        for name, milliseconds in case["ms_per_patch"].items():
            size = " x ".join(map(str, case["size"]))
            rate, factor = f"{1000 / milliseconds:.0f}", f"{case['factor'][name]:.1f}x"
            result.add_row(size, str(case["batch"]), name, f"{milliseconds:.2f}", rate, factor)
    return result


if __name__ == "__main__":
    main()
