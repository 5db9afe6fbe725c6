"""Time of embedding a scan, against the bare forward passes over the same windows.

    python benchmarks/embed.py [--rounds 5] [--size 96 96 96] [--patch 48 48 48]

Both take turns. The bare passes run ``backbone.encode`` on the very windows that ``umzoo.embed`` chooses, in batches of
the same size; what is on top is cutting, weighing and pooling. CPU time of the process is measured, so that other
programs on the machine do not count. The network is a ResEnc U-Net of 16 to 128 channels with random weights.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from report import write_results
from rich.console import Console
from rich.table import Table

import umzoo
from umzoo.data.reading.geometry import Grid
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.embed.vectors import body_windows
from umzoo.scans.scan import Scan
from umzoo.scans.windows import pad_to, size_of, windows

BAR = 1.15


def make_scan(size: tuple[int, int, int]) -> Scan:
    """A scan of noise, body everywhere."""
    grid = Grid(size, torch.eye(4).numpy())
    return Scan(torch.rand(1, *size, generator=torch.Generator().manual_seed(0)), grid, grid, ("mr",), "noise")


def bare_passes(backbone: umzoo.Backbone, scan: Scan, config: EmbedConfig) -> Callable[[], None]:
    """Return the forward passes over the windows of *scan*, and nothing else."""
    size = config.patch_size or (48, 48, 48)
    image = pad_to(scan.image, size)
    chosen = body_windows(list(windows(size_of(image), size, config.overlap)), scan.image)
    crops = [torch.stack([image[:, z, y, x] for z, y, x in chosen[start : start + config.batch_size]])
             for start in range(0, len(chosen), config.batch_size)]  # fmt: skip

    def run() -> None:
        with torch.inference_mode():
            for crop in crops:
                backbone.encode(crop)

    return run


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    """Measure, show the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=3, default=(96, 96, 96))
    parser.add_argument("--patch", type=int, nargs=3, default=(48, 48, 48))
    options = parser.parse_args()
    backbone = umzoo.create_model("resenc_unet_s", features_per_stage=(16, 32, 64, 128)).eval()
    scan = make_scan(tuple(options.size))
    table = Table("levels", "pooling", "bare (s)", "embed (s)", "ratio")
    rows = []
    for levels, pooling in (((-1,), "mean"), ((1, 2, 3), "mean+max")):
        config = EmbedConfig(patch_size=tuple(options.patch), levels=levels, pooling=pooling)
        calls = (bare_passes(backbone, scan, config), lambda config=config: umzoo.embed(backbone, scan, config))
        for call in calls:
            call()
        times = [[seconds(call) for call in calls] for _ in range(options.rounds)]
        bare, ours = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(b / a for a, b in times)
        rows.append({"levels": levels, "pooling": pooling, "bare_s": bare, "embed_s": ours, "ratio": ratio})
        table.add_row(str(levels), pooling, f"{bare:.2f}", f"{ours:.2f}", f"{ratio:.3f}")
    Console().print(table)
    result = {"bar": BAR, "size": options.size, "patch": options.patch, "rounds": options.rounds, "rows": rows}
    Console().print(f"written to {write_results('embed', result)}")


if __name__ == "__main__":
    main()
