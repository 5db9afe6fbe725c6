"""Masks on a grid of blocks. One grid, flattened in the order (D, H, W), is the only source of every mask."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

import umzoo


def hidden_blocks(grid: Sequence[int], ratio: float) -> int:
    """Return how many blocks of *grid* (D, H, W) are hidden: *ratio* of them, at least one and never all."""
    return min(max(round(ratio * prod(grid)), 1), prod(grid) - 1)


def draw_mask(items: int, grid: Sequence[int], ratio: float, rng: umzoo.Rng) -> Tensor:
    """Draw bool ``(B, *grid)``, true where a block is hidden; as many in each item."""
    order = rng.host().uniform((items, prod(grid))).argsort(dim=1, stable=True)
    hidden = order[:, : hidden_blocks(grid, ratio)]
    mask = torch.zeros(items, prod(grid), dtype=torch.bool).scatter(1, hidden, True)
    return mask.view(items, *grid).to(rng.device)


def enlarge(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Repeat each block of *mask* ``(B, d, h, w)`` to fill ``(B, 1, *size)``; *size* is a multiple of the grid."""
    for axis, n in enumerate(size, 1):
        mask = mask.repeat_interleave(n // mask.shape[axis], dim=axis)
    return mask.unsqueeze(1)


def visible_positions(hidden: Tensor, count: int) -> Tensor:
    """Return int64 ``(B, count)``: the positions where *hidden* ``(B, N)`` is false, in rising order."""
    return hidden.int().argsort(dim=1, stable=True)[:, :count]
