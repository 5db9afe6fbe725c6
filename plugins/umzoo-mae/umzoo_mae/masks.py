"""Masks on a grid of blocks. All masks come from one grid, flattened in the order (D, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

import umzoo


def hidden_blocks(grid: Sequence[int], ratio: float) -> int:
    """Return the number of masked blocks of *grid* (D, H, W): a fraction *ratio*, at least one and never all."""
    return min(max(round(ratio * prod(grid)), 1), prod(grid) - 1)


def draw_mask(items: int, grid: Sequence[int], ratio: float, rng: umzoo.Rng) -> Tensor:
    """Draw a mask, bool ``(B, *grid)``, True for masked blocks; all items have the same number of them."""
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
    """Return int64 ``(B, count)``: the indices where *hidden* ``(B, N)`` is False, in ascending order."""
    return hidden.int().argsort(dim=1, stable=True)[:, :count]
