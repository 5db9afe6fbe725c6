"""Rotation, scaling and mirroring of crops and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from umzoo.data.store.record import Triple
from umzoo.fields import Rng

OUTSIDE = -1
"""Label of what lies outside a crop."""
_STEPS = 1000
"""Scores of labels are compared in half precision times this, so that near ties count as ties."""
_NEAR = 0.25 / _STEPS
"""Scores that differ by less are equal for the compiled loops: half the spacing of half precision."""


def matrices(rng: Rng, count: int, rotation: float, planar: bool) -> tuple[Tensor, list[int]]:
    """Draw ``(B, 3, 3)`` from offsets in the result to offsets in the crop (D, H, W), and which items are changed.

    An item is turned with probability 0.2, by angles from U(-rotation, rotation) about each axis, and scaled with
    probability 0.2, by one factor from U(0.7, 1.4).
    """
    turned, scaled = (rng.uniform((count, 2)) < 0.2).unbind(1)
    angles = rng.uniform((count, 3), -rotation, rotation) * turned[:, None]
    factors = torch.where(scaled, rng.uniform((count,), 0.7, 1.4), torch.ones(count))
    scales = factors[:, None].repeat(1, 3)
    if planar:
        angles[:, 1:] = 0
        scales[:, 0] = 1
    cos, sin = angles.cos(), angles.sin()
    total = torch.diag_embed(scales)
    for axis, (one, other) in enumerate(((1, 2), (2, 0), (0, 1))):
        turn = torch.eye(3).repeat(count, 1, 1)
        turn[:, one, one] = turn[:, other, other] = cos[:, axis]
        turn[:, one, other], turn[:, other, one] = -sin[:, axis], sin[:, axis]
        total = turn @ total
    rows: list[int] = (turned | scaled).nonzero().flatten().tolist()
    return total, rows


def center(crop: Tensor, patch: Triple, fill: float) -> Tensor:
    """Return a copy of the middle *patch* of *crop* ``(B, C, D, H, W)``, filled where that is larger."""
    margins: list[int] = []
    for size, edge in zip(reversed(crop.shape[2:]), reversed(patch), strict=True):
        start = size // 2 - edge // 2
        margins += [-start, start + edge - size]
    return pad(crop, margins, value=fill).clone(memory_format=torch.contiguous_format)


def resample(
    image: Tensor, label: Tensor | None, turns: Tensor, patch: Triple, labels: Sequence[int] | None
) -> tuple[Tensor, Tensor | None]:
    """Return *image*, and *label* if there is one, sampled at the places that *turns* ``(B, 3, 3)`` gives."""
    edges, sizes = (turns.new_tensor(shape[::-1]) for shape in (tuple(patch), tuple(image.shape[2:])))
    turns = turns.flip(1, 2) * edges / sizes[:, None]
    theta = torch.cat([turns, turns.new_zeros(len(turns), 3, 1)], 2).to(image.dtype)
    grid = affine_grid(theta, [len(image), 1, *patch], align_corners=False)
    made = grid_sample(image, grid, align_corners=False)
    return made, None if label is None else sample_labels(label, grid, labels)


def resample_compiled(
    loops: Any, image: Tensor, label: Tensor | None, turn: Tensor, made: Tensor, target: Tensor | None
) -> None:
    """Do as :func:`resample` does for one item, into *made* ``(C, d, h, w)`` and *target*, by compiled loops."""
    matrix = turn.double().numpy()
    loops.resample_image(image.numpy(), matrix, made.numpy())
    if label is not None and target is not None:
        loops.resample_labels(label.contiguous().numpy(), matrix, OUTSIDE, _NEAR, target.numpy())


def sample_labels(label: Tensor, grid: Tensor, labels: Sequence[int] | None) -> Tensor:
    """Return *label* ``(B, S, D, H, W)`` at the places *grid*: the value with most weight among the eight neighbors.

    Of values of equal weight it is that of the nearest neighbor, if it is among them, else the least.
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
    """The weight of *value* at the places *grid*, in thousandths; outside everything is :data:`OUTSIDE`."""
    shift = float(value == OUTSIDE)
    share = grid_sample(((label == value).float() - shift) * _STEPS, grid, align_corners=False)
    return (share + shift * _STEPS).half()


def _leaves(grid: Tensor, shape: torch.Size) -> bool:
    """Whether a place in *grid* is so near the border of a crop of *shape* that a neighbor lies outside."""
    return bool(grid.abs().amax() > 1 - 1 / min(shape[2:]))


def mirror(image: Tensor, label: Tensor | None, drawn: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    """Mirror the items of *image* and *label*, in place, along those of *axes* that *drawn* ``(B, 3)`` says."""
    for row, chosen in enumerate(drawn.tolist()):
        flipped = [1 + axis for axis in axes if chosen[axis]]
        if flipped:
            image[row] = image[row].flip(flipped)
            if label is not None:
                label[row] = label[row].flip(flipped)
    return image, label
