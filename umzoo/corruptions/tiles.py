"""The tile law of local shuffling: random permutations of disjoint tiles, as an index of sources."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from umzoo.corruptions.counter import below

COPIES = 64
"""Random permutations kept for each number of voxels a tile can have."""
REUSE = 8
"""Times a row of shuffled tiles is used within an image, each time elsewhere, on average."""


def sources(
    size: Sequence[int], edge: Sequence[int], origin: Sequence[int], seed: Tensor, device: torch.device
) -> Tensor:
    """Return int32 ``(D * H * W,)``: the voxel that each voxel takes its value from, a permutation.

    Tiles of *edge* (D, H, W) voxels are laid out from *origin*; voxels that no whole tile covers stay in place.
    Rows of tiles along W are put together from random permutations, and each place (D, H) draws one of these rows.
    """
    index = torch.arange(size[0] * size[1] * size[2], dtype=torch.int32, device=device)
    tiles = [(s - o) // e for s, o, e in zip(size, origin, edge, strict=True)]
    seeds = torch.stack([seed, ~seed]).to(device, non_blocking=True)
    count = -(-tiles[0] * tiles[1] // REUSE)
    rows = _rows(count, tiles[2], edge, size, seeds[0])
    places = rows.index_select(0, below(seeds[1], tiles[0] * tiles[1], count))
    places = places.view(tiles[0], tiles[1], edge[0], edge[1], -1).transpose(1, 2)
    covered = tuple(slice(o, o + n * e) for o, n, e in zip(origin, tiles, edge, strict=True))
    region = index.view(*size)[covered]
    region.unflatten(1, (tiles[1], edge[1])).unflatten(0, (tiles[0], edge[0])).add_(places)
    return index


def _rows(count: int, tiles: int, edge: Sequence[int], size: Sequence[int], seed: Tensor) -> Tensor:
    """Return int32 ``(count, eD, eH, tiles * eW)``: how far, in the flat image, each voxel's source is from it."""
    voxels = edge[0] * edge[1] * edge[2]
    order = permutations(voxels, seed.device).index_select(0, below(seed, count * tiles, COPIES))
    d, h, w = (torch.arange(e, dtype=torch.int32, device=seed.device) for e in edge)
    offset = ((d[:, None, None] * size[1] + h[:, None]) * size[2] + w).view(-1)
    distance = offset.index_select(0, order.view(-1)).view(order.shape) - offset
    return distance.view(count, tiles, *edge).permute(0, 2, 3, 1, 4).reshape(count, edge[0], edge[1], -1)


@lru_cache(maxsize=512)
def permutations(voxels: int, device: torch.device) -> Tensor:
    """Return int32 ``(64, voxels)``: random permutations of 0, ..., voxels - 1, always the same."""
    generator = torch.Generator().manual_seed(voxels)
    return torch.rand(COPIES, voxels, generator=generator).argsort(1).to(torch.int32).to(device)
