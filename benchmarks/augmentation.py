"""Crops that nnU-Net's default transforms augment per second: umzoo's batches against batchgeneratorsv2, one thread.

    python benchmarks/augmentation.py [--rounds 5]

Both start from the same crops, of the size that nnU-Net cuts for each patch, and end with patches and labels of full
resolution; labels have three values. Contenders take turns, factors are formed within a round (see ``rounds.py``), and
processor time is counted, so other work on the machine matters less.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import torch
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from report import write_results
from rich.console import Console
from rounds import interleave, show, summarize
from torch.nn.functional import interpolate

from umzoo.augmentation import DefaultAugmentation
from umzoo.fields import Rng

Patch = tuple[int, int, int]
PATCHES: tuple[Patch, ...] = ((64, 64, 64), (96, 96, 96))
BATCH = 2
THEIRS, OURS = "batchgeneratorsv2", "umzoo"
ANGLE = math.pi / 6


def main() -> None:
    """Measure, print a table and write ``results/augmentation.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per contender and round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console, found = Console(), {}
    for patch in PATCHES:
        rates = interleave(contenders(patch), options.rounds, options.seconds, time.process_time)
        found["x".join(map(str, patch))] = summarize(rates, THEIRS)
    show(console, "default augmentation: crops per second", found, THEIRS)
    report: dict[str, Any] = {"rounds": options.rounds, "batch": BATCH, "patches": found}
    console.print(f"written to {write_results('augmentation', report)}")


def contenders(patch: Patch) -> dict[str, Callable[[], int]]:
    """Both, on crops of the size that nnU-Net cuts for *patch*."""
    bounds = (-ANGLE, ANGLE)
    size = tuple(int(edge) for edge in get_patch_size(patch, bounds, bounds, bounds, (0.85, 1.25)))
    coarse = torch.rand(BATCH, 1, *(edge // 24 for edge in size), generator=torch.Generator().manual_seed(0))
    smooth = interpolate(coarse, size, mode="trilinear")
    image = smooth + 0.05 * torch.randn(BATCH, 1, *size)
    label = (smooth > 0.5).short() + (smooth > 0.7).short()
    transforms = nnUNetTrainer.get_training_transforms(patch, bounds, None, (0, 1, 2), False)
    augment, numbers = DefaultAugmentation(patch, ANGLE), iter(range(10**9))

    def theirs() -> int:
        made = [transforms(image=image[i].clone(), segmentation=label[i].clone()) for i in range(BATCH)]
        torch.stack([one["image"] for one in made])
        return BATCH

    def ours() -> int:
        made, target = augment(image, label, Rng(0, next(numbers)))
        return len(made) if target is not None else 0

    return {THEIRS: theirs, OURS: ours}


if __name__ == "__main__":
    main()
