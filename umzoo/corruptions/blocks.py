"""Local shuffling in 10,000 overlapping blocks, as in Models Genesis; later blocks overwrite earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from umzoo.noise.counter import words
from umzoo.noise.fast import kernels_for

BLOCKS = 10_000


def shuffle_(item: Tensor, greatest: tuple[int, int, int], seed: int) -> None:
    """Shuffle *item* ``(C, D, H, W)`` in place, in blocks with edges up to *greatest* (D, H, W) voxels.

    On the CPU, a loop compiled by numba is used if numba is installed (``pip install umzoo[fast]``); otherwise, and on
    other devices, sorting and scattering. Both have the same distribution, but different results for a seed.
    """
    original = item.clone()
    if loops := kernels_for(item, "corruptions.compiled"):
        for channel, shuffled in zip(original.numpy(), item.numpy(), strict=True):
            loops.shuffle_blocks(channel, shuffled, BLOCKS, *greatest, seed)
    else:
        source = sources(item.shape[1:], greatest, seed, item.device)
        torch.index_select(original.flatten(1), 1, source, out=item.view(len(item), -1))


def sources(size: Sequence[int], greatest: Sequence[int], seed: int, device: torch.device) -> Tensor:
    """Return int64 ``(D * H * W,)``: the source voxel of each voxel.

    One sort permutes the voxels of every block randomly. A voxel then takes the entry of the last block that contains
    it.
    """
    corners = draw_blocks(size, greatest, seed)
    total = int(corners[1].prod(1).sum())
    start, edge = (corner.to(device, non_blocking=True) for corner in corners)
    volume = edge.prod(1)
    block = torch.repeat_interleave(volume, output_size=total)
    local = torch.arange(total, device=device) - (volume.cumsum(0) - volume)[block]
    _, height, width = edge[block].unbind(1)
    within = torch.stack([local // (height * width), local // width % height, local % width], 1)
    d, h, w = (start[block] + within).unbind(1)
    voxel = (d * size[1] + h) * size[2] + w
    key = words(torch.full((), seed ^ 1, dtype=torch.int32, device=device), 0, total)
    shuffled = voxel[torch.argsort((block << 32) + key)]
    last = torch.full((size[0] * size[1] * size[2],), -1, device=device)
    last.scatter_reduce_(0, voxel, torch.arange(total, device=device), "amax")
    return torch.where(last >= 0, shuffled[last.clamp(min=0)], torch.arange(len(last), device=device))


def draw_blocks(size: Sequence[int], greatest: Sequence[int], seed: int) -> tuple[Tensor, Tensor]:
    """Return start and edge of the blocks, int64 ``(10000, 3)`` voxels (D, H, W), on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    edge_share, start_share = torch.rand(2, BLOCKS, 3, generator=generator, dtype=torch.float64)
    edge = 1 + (edge_share * torch.tensor(greatest)).long()
    start = (start_share * (torch.tensor(size) - edge + 1)).long()
    return start, edge
