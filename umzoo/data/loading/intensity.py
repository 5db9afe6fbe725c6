"""From stored voxels to [0, 1], and on to the space a network works in; on the device of the batch."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from umzoo.fields import Fields, Rng

InputSpace = Literal["unit", "zscore"]

NOISE = (0.002, 0.03)
"""Least and greatest standard deviation of the noise jitter, in [0, 1] space."""


def to_unit(batch: Fields, rng: Rng | None = None) -> Fields:
    """Return *batch* with ``image`` float32 ``(B, 1, D, H, W)`` in [0, 1] in place of ``voxels`` and ``window``.

    Crops that may be asked for their scale (``width`` > 0) get noise from *rng*, whatever their scale: a scan's own
    noise shrinks as it is averaged, and would tell the scale. One part is filtered like the crop, one part
    is white (it hides the traces of interpolation); their standard deviations are drawn log-uniformly from
    :data:`NOISE`. Without *rng* no noise is added.
    """
    low, high = (bound.view(-1, 1, 1, 1, 1) for bound in batch["window"].unbind(1))
    image = batch["voxels"].float().sub_(low).mul_(1 / (high - low)).clamp_(0, 1)
    if rng is not None:
        _jitter(image, batch["width"], rng)
    return {**{name: value for name, value in batch.items() if name not in ("voxels", "window")}, "image": image}


def enter(image: Tensor, fields: Fields, space: InputSpace) -> Tensor:
    """Take *image* in [0, 1] to the input space of a network, by the ``mean`` and ``std`` of its volumes.

    *image* may hold k views of the batch one after the other ``(k * B, 1, D, H, W)``.
    """
    if space == "unit":
        return image
    mean, std = _statistics(image, fields)
    return (image - mean) / std


def leave(image: Tensor, fields: Fields, space: InputSpace) -> Tensor:
    """The inverse of :func:`enter`."""
    if space == "unit":
        return image
    mean, std = _statistics(image, fields)
    return image * std + mean


def _statistics(image: Tensor, fields: Fields) -> tuple[Tensor, Tensor]:
    views = len(image) // len(fields["mean"])
    mean, std = (fields[name].repeat(views).view(-1, 1, 1, 1, 1) for name in ("mean", "std"))
    return mean, std


def _jitter(image: Tensor, width: Tensor, rng: Rng) -> None:
    """Add noise to the items of *image* with a positive *width*, in place."""
    least, ratio = NOISE[0], math.log(NOISE[1] / NOISE[0])
    drawn = rng.uniform((2 * len(image), 1, 1, 1, 1)).unflatten(0, (2, -1))
    sigma = least * torch.exp(ratio * drawn) * (width > 0).view(-1, 1, 1, 1, 1)
    rows = torch.arange(len(image), device=image.device)
    if image.device.type == "cpu":
        rows = rows[width > 0]
        rng = rng.take(rows.tolist())
    shape = (len(rows), *image.shape[1:])
    white, smooth = rng.gaussian_noise(shape), rng.gaussian_noise(shape)
    for axis in (2, 3, 4):
        kernel = _unit_gain(image.shape[axis], width[rows])
        smooth = torch.einsum("bij,bcj...->bci...", kernel, smooth.movedim(axis, 2)).movedim(2, axis)
    image[rows] = (image[rows] + sigma[0, rows] * smooth + sigma[1, rows] * white).clamp_(0, 1)


def _unit_gain(size: int, width: Tensor) -> Tensor:
    """Triangle filters ``(B, size, size)`` of half-width *width* ``(B,)`` that keep the variance of white noise."""
    position = torch.arange(size, device=width.device)
    distance = (position[:, None] - position).abs()
    weights: Tensor = (1 - distance / width.clamp_min(1).view(-1, 1, 1)).clamp_min(0)
    weights /= weights.norm(dim=2, keepdim=True)
    return weights
