"""Position embeddings of tokens on a grid (D, H, W)."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor
from torch.nn import functional

from umzoo.backbones.base import Size


def positions_for(grid: Size, learned: Tensor, made_for: Size) -> Tensor:
    """Return the *learned* position embedding ``(1, n, C)`` for *grid*, resized if it was *made_for* another one."""
    if not torch.compiler.is_exporting() and grid == made_for:  # else an export would hold for this size alone
        return learned
    volume = learned.transpose(1, 2).unflatten(2, made_for)
    resized: Tensor = functional.interpolate(volume, size=grid, mode="trilinear", align_corners=False)
    return resized.flatten(2).transpose(1, 2)


def sincos_positions(grid: Size, made_for: Size, dim: int, device: torch.device | None = None) -> Tensor:
    """Return sine and cosine waves ``(1, D * H * W, dim)`` of the positions in *grid*, a third of them for each axis.

    Frequencies are those of Vaswani et al. (NeurIPS 2017), which He et al. (CVPR 2022) take for images. Positions of
    another grid than the one it was *made_for* are stretched to it, as :func:`positions_for` stretches learned ones.
    """
    waves = ceil(dim / 6)
    frequency = 10_000 ** -(torch.arange(waves, device=device) / waves)
    tables = []
    for axis, (count, reference) in enumerate(zip(grid, made_for, strict=True)):
        place = (torch.arange(count, device=device) + 0.5) * (reference / count) - 0.5
        angle = place.unsqueeze(1) * frequency
        shape = [1, 1, 1, 2 * waves]
        shape[axis] = count
        tables.append(torch.cat((angle.sin(), angle.cos()), dim=1).view(shape).expand(*grid, -1))
    return torch.cat(tables, dim=3).flatten(0, 2)[None, :, :dim]
