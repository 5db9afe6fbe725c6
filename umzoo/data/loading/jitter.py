"""Noise added to equally sharp crops, so that a scan's own noise does not reveal their scale."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from umzoo.fields import Rng
from umzoo.noise.counter import draw_seeds, words
from umzoo.noise.fast import kernels_for

NOISE = (0.002, 0.03)
"""Minimum and maximum standard deviation of each part of the noise, in [0, 1] space."""

_BYTE = math.sqrt((2**16 - 1) / 12)
"""Standard deviation of a uniform byte."""


def add_jitter(image: Tensor, width: Tensor, rng: Rng) -> None:
    """Add noise to the items of *image* ``(B, 1, D, H, W)`` with a positive *width* ``(B,)``, in place.

    One part is filtered like the crop, one part is white; their standard deviations are drawn log-uniformly from
    :data:`NOISE`. A white sample is a sum of four uniform bytes, a filtered one of many, so both are close to Gaussian
    (excess kurtosis above -0.4). The noise is a pure function of *rng* and the position, on any device.
    """
    least, ratio = NOISE[0], math.log(NOISE[1] / NOISE[0])
    drawn = rng.uniform((2 * len(image), 1, 1, 1, 1)).unflatten(0, (2, -1))
    sigma = least * torch.exp(ratio * drawn) * (width > 0).view(-1, 1, 1, 1, 1)
    seeds = draw_seeds(rng, 2 * len(image)).unflatten(0, (2, -1))
    if image.device.type != "cpu":
        _add(image, width, sigma, seeds)
        return
    for row in (width > 0).nonzero().flatten().tolist():
        if loops := kernels_for(image[row, 0], "data.loading.jitter_loops"):
            amounts, numbers = sigma[:, row].flatten().tolist(), seeds[:, row].tolist()
            loops.add_noise(
                image[row, 0].numpy(), float(width[row]), amounts[0] / _BYTE, amounts[1] / _BYTE / 2, *numbers
            )
        else:
            part = slice(row, row + 1)
            _add(image[part], width[part], sigma[:, part], seeds[:, part])


def _add(image: Tensor, width: Tensor, sigma: Tensor, seeds: Tensor) -> None:
    """The same as ``jitter_loops.add_noise``, by tensor operations on a batch."""
    count = image[0].numel()
    smooth = _bytes(seeds[0], 0, -(-count // 4))[:, :count].add(0.5).div_(_BYTE).view(image.shape)
    for axis in (2, 3, 4):
        kernel = _unit_gain(image.shape[axis], width)
        smooth = torch.einsum("bij,bcj...->bci...", kernel, smooth.movedim(axis, 2)).movedim(2, axis)
    white = _bytes(seeds[1], 0, count).unflatten(1, (-1, 4)).sum(2).add_(2).div_(2 * _BYTE).view(image.shape)
    image.add_(sigma[0] * smooth + sigma[1] * white).clamp_(0, 1)


def _bytes(seed: Tensor, start: int, stop: int) -> Tensor:
    """The signed bytes of words *start* to *stop* of the streams *seed* ``(B,)``, float32 ``(B, 4 * words)``."""
    return words(seed, start, stop).view(torch.int8).float()


def _unit_gain(size: int, width: Tensor) -> Tensor:
    """Triangle filters ``(B, size, size)`` of half-width *width* ``(B,)`` that keep the variance of white noise."""
    position = torch.arange(size, device=width.device)
    distance = (position[:, None] - position).abs()
    weights: Tensor = (1 - distance / width.clamp_min(1).view(-1, 1, 1)).clamp_min(0)
    weights /= weights.norm(dim=2, keepdim=True)
    return weights
