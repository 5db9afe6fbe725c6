"""Blur, contrast, low resolution and gamma of single channels ``(N, D, H, W)``, in place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umzoo.noise.fast import kernels_for

REACH = 3
"""Radius of the widest blur, in voxels."""
_LEAST = 1e-7


def blur(channels: Tensor, places: Sequence[int], sigmas: Tensor) -> None:
    """Blur the channels *places* by Gaussians of standard deviations *sigmas* ``(N, 3)`` from 0.5 to 1 voxel."""
    for place in places:
        parts = [_blur_matrix(float(sigmas[place, axis]), size) for axis, size in enumerate(channels.shape[1:])]
        channels[place] = _along_axes(channels[place], parts)


def _blur_matrix(sigma: float, size: int) -> Tensor:
    """The filter ``(size, size)`` of batchgeneratorsv2, truncated at 3 sigma, with reflection at the ends."""
    width = round(6 * sigma + 0.5)
    width += 0 if width % 2 else (1 if 6 * sigma + 0.5 >= width else -1)
    steps = torch.arange(-(width // 2), width // 2 + 1)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    source = (torch.arange(size)[:, None] + steps).abs()
    source = torch.where(source < size, source, 2 * (size - 1) - source).clamp_(0, size - 1)
    return torch.zeros(size, size).scatter_add_(1, source, (weights / weights.sum()).expand(size, -1))


def coarsen(channels: Tensor, places: Sequence[int], scales: Tensor, planar: bool) -> None:
    """Downsample the channels *places* to *scales* ``(N,)`` of their resolution (nearest), and upsample linearly."""
    for place in places:
        kept = [size if planar and not axis else round(size * scales[place].item()) for axis, size in _sizes(channels)]
        parts = [_coarse_matrix(size, kept[axis]) for axis, size in _sizes(channels)]
        channels[place] = _along_axes(channels[place], parts)


def _sizes(channels: Tensor) -> list[tuple[int, int]]:
    return list(enumerate(channels.shape[1:]))


def _coarse_matrix(size: int, kept: int) -> Tensor:
    """From *size* voxels to the nearest *kept* and back by linear interpolation, ``(size, size)``."""
    taken = torch.floor((torch.arange(kept, dtype=torch.float64) + 0.5) * (size / kept)).long().clamp_(max=size - 1)
    place = ((torch.arange(size, dtype=torch.float64) + 0.5) * (kept / size) - 0.5).clamp_(min=0)
    before = place.long()
    share = (place - before).float()[:, None]
    matrix = torch.zeros(size, size).scatter_add_(1, taken[before][:, None], 1 - share)
    return matrix.scatter_add_(1, taken[(before + 1).clamp_(max=kept - 1)][:, None], share)


def _along_axes(channel: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """*channel* ``(D, H, W)`` multiplied along each axis by its matrix, which is zero far from the diagonal."""
    if loops := kernels_for(channel, "augmentation.compiled_filters"):
        bands = [_band(part) for part in parts]
        made: NDArray[np.float32] = loops.multiply_along_axes(channel.numpy(), *bands)
        return torch.from_numpy(made)
    depth, height, width = (part.to(channel) for part in parts)
    channel = (depth @ channel.flatten(1)).view(channel.shape)
    return (height @ channel) @ width.T


def _band(matrix: Tensor) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The first nonzero column of each row of *matrix* ``(N, N)`` ``(N,)``, and the values from there ``(N, T)``."""
    dense = matrix.numpy()
    taken = dense != 0
    first, last = taken.argmax(1), len(dense) - taken[:, ::-1].argmax(1)
    width = (last - first).max()
    first = np.minimum(first, len(dense) - width)
    return first, np.take_along_axis(dense, first[:, None] + np.arange(width), 1)


def change_contrast(channels: Tensor, places: Sequence[int], factors: Tensor) -> None:
    """Multiply the distance from the mean of the channels *places* by *factors* ``(N,)``, within their range."""
    for place in places:
        channel = channels[place]
        low, high = channel.aminmax()
        mean = channel.mean()
        channel.sub_(mean).mul_(float(factors[place])).add_(mean).clamp_(low, high)


def change_gamma(channels: Tensor, places: Sequence[int], exponents: Tensor, inverted: bool) -> None:
    """Apply gamma *exponents* ``(N,)`` to the channels *places*, scaled to [0, 1]; mean and deviation are kept."""
    for place in places:
        channel = channels[place]
        if inverted:
            channel.neg_()
        low, high = channel.aminmax()
        mean = channel.mean()
        size = _distance(channel - mean)
        channel.sub_(low).div_((high - low).clamp_min(_LEAST)).pow_(float(exponents[place]))
        channel.sub_(channel.mean())
        factor = size / _distance(channel).clamp_min(_LEAST * math.sqrt(max(channel.numel() - 1, 1)))
        channel.mul_(-factor if inverted else factor).add_(-mean if inverted else mean)


def _distance(channel: Tensor) -> Tensor:
    """The Euclidean length of *channel*: its standard deviation times sqrt(N - 1), if its mean is 0."""
    return channel.square().sum().sqrt()
