"""How much of clean patches their corrupted views explain, as they are and smoothed: what restoration must beat.

    python benchmarks/smoothing.py STORE RECIPE

Shift and scale are fitted to each clean patch, so that no smoothing of this kind can do better.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor
from torch.nn import functional

from umzoo import build_corruptions
from umzoo.data.loading.intensity import enter, to_unit
from umzoo.data.loading.loader import Loader
from umzoo.data.loading.open_store import open_store
from umzoo.engine.recipe import load_recipe
from umzoo.fields import Rng
from umzoo.pretext.restoration import ALTERED, FLAT
from umzoo.pretext.variance import explained

BATCHES, ITEMS = 6, 32
AXES = (1, 2, 3, 4)


def main() -> None:
    """Print the mean shares over some batches."""
    store, recipe = Path(sys.argv[1]), sys.argv[2]
    total: Counter[str] = Counter()
    for clean, corrupted in patches(store, recipe):
        deviation = clean.std(AXES, keepdim=True).clamp_min(FLAT)
        target = (clean - clean.mean(AXES, keepdim=True)) / deviation
        altered = ((corrupted - clean).abs() / deviation) > ALTERED
        total["mean of a patch, of the whole variance"] += float(clean.mean(AXES).var() / clean.var())
        for edge in (1, 3, 5):
            answer = fitted(smoothed(corrupted, edge), target)
            constant = torch.zeros_like(target)
            total[f"mean over {edge}^3"] += float(explained(answer, target, constant))
            total[f"mean over {edge}^3, altered voxels"] += float(explained(answer, target, constant, altered))
    Console().print({name: round(value / BATCHES, 3) for name, value in total.items()})


def patches(folder: Path, name: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield clean and corrupted patches ``(B, 1, D, H, W)`` of a recipe, in z-scores of their volumes."""
    recipe, store = load_recipe(name), open_store(folder)
    corruptions = build_corruptions(recipe.pretext.corruptions, "pretext.corruptions")
    config = recipe.data.model_copy(update={"workers": 0, "batch_size": ITEMS})
    with Loader(store, config, seed=99) as loader:
        for number, raw in zip(range(BATCHES), loader, strict=False):
            batch = to_unit(raw, Rng(5, number))
            corrupted, clean, _ = corruptions(batch["image"], Rng(6, number))
            yield enter(clean, batch, "zscore"), enter(corrupted, batch, "zscore")


def smoothed(image: Tensor, edge: int) -> Tensor:
    """Return *image* averaged over cubes of *edge* voxels."""
    return functional.avg_pool3d(functional.pad(image, (edge // 2,) * 6, mode="replicate"), edge, 1)


def fitted(image: Tensor, target: Tensor) -> Tensor:
    """Return *image*, shifted and scaled to be nearest to *target*, whose patches have the mean 0."""
    centered = image - image.mean(AXES, keepdim=True)
    scale = (centered * target).sum(AXES, keepdim=True) / centered.square().sum(AXES, keepdim=True).clamp_min(1e-6)
    return scale * centered


if __name__ == "__main__":
    main()
