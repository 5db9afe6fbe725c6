"""Rotation, scaling and mirroring of crops and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from umzoo.augmentation.draws import Draws
from umzoo.data.store.record import Triple

OUTSIDE = -1
"""Label outside a crop."""
_STEPS = 1000
"""Factor on label scores in half precision, so that near ties count as ties."""
_NEAR = 0.25 / _STEPS
"""Scores that differ by less are treated as equal in the compiled loops: half the spacing of half precision."""


def matrices(draws: Draws, count: int, rotation: float, planar: bool) -> tuple[Tensor, list[int]]:
    """Draw ``(B, 3, 3)`` from offsets in the result to offsets in the crop (D, H, W), and the items that are changed.

    An item is rotated with probability 0.2, by angles from U(-rotation, rotation) about each axis, and scaled with
    probability 0.2, by one factor from U(0.7, 1.4).
    """
    turned, scaled = (draws.uniform((count, 2)) < 0.2).numpy().T
    angles = draws.uniform((count, 3), -rotation, rotation).numpy() * turned[:, None]
    factors = np.where(scaled, draws.uniform((count,), 0.7, 1.4).numpy(), 1)
    total = np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
    rows: list[int] = (turned | scaled).nonzero()[0].tolist()
    for row in rows:
        total[row] = _matrix(angles[row] * (1, not planar, not planar), factors[row], planar)
    return torch.from_numpy(total), rows


def _matrix(angles: NDArray[np.float32], factor: float, planar: bool) -> NDArray[np.float64]:
    """Scaling by *factor*, in the plane (H, W) alone if *planar*, then rotation by *angles* about the three axes."""
    total = np.diag([1 if planar else factor, factor, factor])
    for angle, (one, other) in zip(angles, ((1, 2), (2, 0), (0, 1)), strict=True):
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        total = turn @ total
    return total


def center(crop: Tensor, patch: Triple, fill: float) -> Tensor:
    """Return the central *patch* of *crop* ``(C, D, H, W)``: a view, or a filled copy if *patch* is larger."""
    sizes = list(zip(crop.shape[1:], patch, strict=True))
    starts = [size // 2 - edge // 2 for size, edge in sizes]
    if all(edge <= size for size, edge in sizes):
        (d, h, w), (depth, height, width) = starts, patch
        return crop[:, d : d + depth, h : h + height, w : w + width]
    margins: list[int] = []
    for start, (size, edge) in zip(reversed(starts), reversed(sizes), strict=True):
        margins += [-start, start + edge - size]
    return pad(crop, margins, value=fill)


def cut_out(crop: Tensor, out: Tensor, mirrored: Tensor, fill: float) -> None:
    """Fill *out* ``(C, d, h, w)`` with the middle of *crop* ``(C, D, H, W)``, mirrored along the axes of *mirrored*."""
    axes = [1 + axis for axis, chosen in enumerate(mirrored.tolist()) if chosen]
    middle = center(crop, (out.shape[1], out.shape[2], out.shape[3]), fill)
    out.copy_(middle.flip(axes) if axes else middle)


def resample(
    image: Tensor, label: Tensor | None, turns: Tensor, patch: Triple, labels: Sequence[int] | None
) -> tuple[Tensor, Tensor | None]:
    """Return *image*, and *label* if there is one, resampled with the matrices *turns* ``(B, 3, 3)``."""
    edges, sizes = (turns.new_tensor(shape[::-1]) for shape in (tuple(patch), tuple(image.shape[2:])))
    turns = turns.flip(1, 2) * edges / sizes[:, None]
    theta = torch.cat([turns, turns.new_zeros(len(turns), 3, 1)], 2).to(image.dtype)
    grid = affine_grid(theta, [len(image), 1, *patch], align_corners=False)
    made = grid_sample(image, grid, align_corners=False)
    return made, None if label is None else sample_labels(label, grid, labels)


def resample_compiled(
    loops: Any, image: Tensor, label: Tensor | None, turn: Tensor, made: Tensor, target: Tensor | None
) -> None:
    """The same as :func:`resample` for one item, into *made* ``(C, d, h, w)`` and *target*, by compiled loops."""
    matrix = turn.double().numpy()
    loops.resample_image(image.numpy(), matrix, made.numpy())
    if label is not None and target is not None:
        loops.resample_labels(label.contiguous().numpy(), matrix, OUTSIDE, _NEAR, target.numpy())


def sample_labels(label: Tensor, grid: Tensor, labels: Sequence[int] | None) -> Tensor:
    """Return *label* ``(B, S, D, H, W)`` at positions *grid*: the value of highest weight among eight neighbors.

    For equal weights it is the value of the nearest neighbor, if it is one of them, otherwise the smallest.
    """
    known = label.unique().tolist() if labels is None or label.device.type == "cpu" else labels
    if label.device.type != "cpu" or _leaves(grid, label.shape):
        known = {OUTSIDE, *known}
    values = sorted(int(value) for value in known)
    nearest = grid_sample((label - OUTSIDE).float(), grid, "nearest", align_corners=False).to(label.dtype) + OUTSIDE
    if len(values) == 1:
        return torch.full_like(nearest, values[0])
    best = _score(label, grid, values[0])
    own = torch.where(nearest == values[0], best, torch.full_like(best, -1))
    made = torch.full_like(nearest, values[0])
    for value in values[1:]:
        score = _STEPS - best if len(values) == 2 else _score(label, grid, value)
        made.masked_fill_(score > best, value)
        own = torch.where(nearest == value, score, own)
        best = torch.maximum(best, score)
    return torch.where(own == best, nearest, made)


def _score(label: Tensor, grid: Tensor, value: int) -> Tensor:
    """The weight of *value* at the positions *grid*, in thousandths; outside everything is :data:`OUTSIDE`."""
    shift = float(value == OUTSIDE)
    share = grid_sample(((label == value).float() - shift) * _STEPS, grid, align_corners=False)
    return (share + shift * _STEPS).half()


def _leaves(grid: Tensor, shape: torch.Size) -> bool:
    """Whether a position in *grid* is so close to the border of a crop of *shape* that a neighbor lies outside."""
    return bool(grid.abs().amax() > 1 - 1 / min(shape[2:]))
