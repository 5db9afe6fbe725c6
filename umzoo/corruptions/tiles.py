"""Local shuffling by random permutations within disjoint tiles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from umzoo.noise.counter import words
from umzoo.noise.fast import kernels_for

COPIES = 64
"""Cached random permutations for each number of voxels of a tile; a power of 2."""
ROWS = 32
"""Number of different rows of shuffled tiles in an image; a power of 2."""
CHUNK = 1 << 17
"""Voxels shuffled at a time on the CPU, so that temporary arrays fit in cache."""


def shuffle_(item: Tensor, edge: Sequence[int], origin: Sequence[int], seed: Tensor) -> None:
    """Shuffle *item* ``(C, D, H, W)`` in place within tiles of *edge* (D, H, W) voxels that start at *origin*.

    Voxels outside complete tiles are not moved. A row consists of all tiles at one position (D, H); 32 rows are made
    from random permutations, and each position uses a random one of them.
    """
    size = item.shape[1:]
    tiles = [(s - o) // e for s, o, e in zip(size, origin, edge, strict=True)]
    random = words(seed.to(item.device, non_blocking=True), 0, ROWS + tiles[0] * tiles[1])
    rows = _rows(tuple(edge), tiles[2], tuple(size[1:]), random[:ROWS] & (COPIES - 1))
    choice = (random[ROWS:] & (ROWS - 1)).view(tiles[0], tiles[1])
    if loops := kernels_for(item, "corruptions.compiled"):
        for channel in item.numpy():
            loops.shuffle_tiles(channel.copy(), channel, rows.numpy(), choice.numpy(), *origin)
    else:
        _gather_(item, rows, choice, edge, origin)


def _gather_(item: Tensor, rows: Tensor, choice: Tensor, edge: Sequence[int], origin: Sequence[int]) -> None:
    """Implement ``compiled.shuffle_tiles`` by tensor operations, on one slab that fits in cache at a time."""
    size = item.shape[1:]
    layers = len(choice) if item.device.type != "cpu" else max(1, CHUNK // (edge[0] * size[1] * size[2]))
    for first in range(0, len(choice), layers):
        part = choice[first : first + layers]
        start = origin[0] + first * edge[0]
        slab = item[:, start : start + len(part) * edge[0]]
        source = _sources(rows, part, slab.shape[1:], origin[1:])
        for channel in slab:
            channel.copy_(channel.flatten().index_select(0, source).view(channel.shape))


def _sources(rows: Tensor, choice: Tensor, size: Sequence[int], origin: Sequence[int]) -> Tensor:
    """Return int32 ``(D * H * W,)``: the source of each voxel in a slab of *size*.

    *rows* are those of :func:`_rows`, *choice* ``(nD, nH)`` is the row at each position, and *origin* is that of the
    tiles along H and W.
    """
    voxels = size[0] * size[1] * size[2]
    index = _identity(1 << voxels.bit_length(), rows.device)[:voxels].clone()
    _, depth, height, width = rows.shape
    places = rows.index_select(0, choice.flatten()).view(*choice.shape, depth, height, width).transpose(1, 2)
    stop = origin[0] + choice.shape[1] * height
    covered = index.view(*size)[:, origin[0] : stop, origin[1] : origin[1] + width]
    covered.unflatten(1, (-1, height)).unflatten(0, (-1, depth)).add_(places)
    return index


def _rows(edge: tuple[int, ...], tiles: int, plane: tuple[int, ...], first: Tensor) -> Tensor:
    """Return int32 ``(32, eD, eH, tiles * eW)``: the offset of each voxel's source in the flat image.

    Row i takes consecutive permutations of :func:`_distances` from *first* ``(32,)`` on.
    """
    distances = _distances(edge, plane, COPIES + tiles, first.device)
    voxels = distances.shape[1]
    runs = distances.as_strided((COPIES, tiles, *edge), (voxels, voxels, edge[1] * edge[2], edge[2], 1))
    return runs.index_select(0, first).permute(0, 2, 3, 1, 4).reshape(len(first), edge[0], edge[1], -1)


@lru_cache(maxsize=1024)
def _distances(edge: tuple[int, ...], plane: tuple[int, ...], count: int, device: torch.device) -> Tensor:
    """Return int32 ``(count, eD * eH * eW)``: random permutations of a tile in an image of *plane* (H, W) voxels.

    A permutation is stored as offsets from voxels to their sources in the flat image. Permutations repeat after 64.
    """
    d, h, w = (torch.arange(e, dtype=torch.int32) for e in edge)
    offset = ((d[:, None, None] * plane[0] + h[:, None]) * plane[1] + w).view(-1)
    repeats = -(-count // COPIES)
    return (offset[permutations(len(offset))] - offset).repeat(repeats, 1)[:count].to(device)


@lru_cache(maxsize=512)
def permutations(voxels: int) -> Tensor:
    """Return int32 ``(64, voxels)``: fixed random permutations of 0, ..., voxels - 1."""
    generator = torch.Generator().manual_seed(voxels)
    return torch.rand(COPIES, voxels, generator=generator).argsort(1).to(torch.int32)


@lru_cache(maxsize=8)
def _identity(voxels: int, device: torch.device) -> Tensor:
    return torch.arange(voxels, dtype=torch.int32, device=device)
