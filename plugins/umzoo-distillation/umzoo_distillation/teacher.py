"""A moving-average teacher, and masks of cells for the student."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

import umzoo


class Teacher(nn.Module):
    """A moving average of *student*, initialized as its copy, without gradients.

    Buffers, such as running statistics, are copied.
    """

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(student).requires_grad_(False)

    @torch.no_grad()
    def follow(self, student: nn.Module, momentum: float) -> None:
        """Update the moving average with the weights of *student*."""
        for slow, fast in zip(self.network.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast.detach(), 1 - momentum)
        for slow, fast in zip(self.network.buffers(), student.buffers(), strict=True):
            slow.copy_(fast)


def momentum_at(progress: float, start: float) -> float:
    """Return the momentum, which increases from *start* to 1 on a half cosine for *progress* from 0 to 1."""
    return 1 - (1 - start) * (math.cos(math.pi * progress) + 1) / 2


def draw_boxes_of_cells(
    count: int, grid: tuple[int, ...], boxes: int, shares: tuple[float, float], rng: umzoo.Rng
) -> Tensor:
    """Return the cells of *grid* covered by random boxes, bool ``(count, *grid)``; each item has both kinds of cells.

    Args:
        count: number of items.
        grid: cells along D, H and W, at least two in total.
        boxes: boxes per item, which may overlap.
        shares: minimum and maximum edge of a box, as a fraction of the grid.
        rng: random numbers.
    """
    edges = torch.tensor(grid, device=rng.device)
    share = rng.uniform((count, boxes, 1), *shares)
    size = (share * edges).round().clamp_min(1).minimum(edges)
    start = (rng.uniform((count, boxes, 3)) * (edges - size + 1)).floor()
    covered = torch.zeros((count, *grid), dtype=torch.bool, device=rng.device)
    for number in range(boxes):
        inside = [_between(start[:, number, axis], size[:, number, axis], length) for axis, length in enumerate(grid)]
        covered |= inside[0][:, :, None, None] & inside[1][:, None, :, None] & inside[2][:, None, None, :]
    lone = rng.integers((count,), 0, math.prod(grid) - 1)
    flat = covered.flatten(1)
    everything = flat.all(1, keepdim=True)
    flat[torch.arange(count, device=rng.device), lone] &= ~everything[:, 0]
    return flat.unflatten(1, grid)


def _between(start: Tensor, size: Tensor, length: int) -> Tensor:
    """Return whether each of *length* cells is in ``[start, start + size)``, bool ``(B, length)``."""
    cells = torch.arange(length, device=start.device)
    return (cells >= start[:, None]) & (cells < (start + size)[:, None])


def hide(image: Tensor, hidden: Tensor, value: Tensor) -> Tensor:
    """Set the voxels of *image* ``(B, C, D, H, W)`` in the *hidden* cells ``(B, d, h, w)`` to *value* ``(B,)``."""
    for axis, (length, cells) in enumerate(zip(image.shape[2:], hidden.shape[1:], strict=True), start=1):
        hidden = hidden.repeat_interleave(length // cells, dim=axis)
    return torch.where(hidden[:, None], value.to(image.dtype).view(-1, 1, 1, 1, 1), image)
