"""Blur, contrast, low resolution and gamma of single channels ``(N, D, H, W)``, in place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from umzoo.noise.fast import kernels_for

REACH = 3
"""Neighbors on each side that the widest blur reaches."""
_LEAST = 1e-7
Number = Tensor | float


def blur(channels: Tensor, places: Sequence[int], sigmas: Tensor) -> None:
    """Blur the channels *places* by Gaussians of standard deviations *sigmas* ``(N, 3)`` from 0.5 to 1 voxel."""
    for place in places:
        parts = [_blur_matrix(float(sigmas[place, axis]), size) for axis, size in enumerate(channels.shape[1:])]
        channels[place] = _along_axes(channels[place], parts)


def _blur_matrix(sigma: float, size: int) -> Tensor:
    """The filter ``(size, size)`` of batchgeneratorsv2, cut off at 3 sigma; what lies beyond the ends is reflected."""
    width = round(6 * sigma + 0.5)
    width += 0 if width % 2 else (1 if 6 * sigma + 0.5 >= width else -1)
    steps = torch.arange(-(width // 2), width // 2 + 1)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    source = (torch.arange(size)[:, None] + steps).abs()
    source = torch.where(source < size, source, 2 * (size - 1) - source).clamp_(0, size - 1)
    return torch.zeros(size, size).scatter_add_(1, source, (weights / weights.sum()).expand(size, -1))


def coarsen(channels: Tensor, places: Sequence[int], scales: Tensor, planar: bool) -> None:
    """Take the channels *places* to *scales* ``(N,)`` of their resolution, by nearest voxels, and back, linearly."""
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
    """*channel* ``(D, H, W)`` multiplied along each axis by the matrix for it."""
    depth, height, width = (part.to(channel) for part in parts)
    channel = (depth @ channel.flatten(1)).view(channel.shape)
    return (height @ channel) @ width.T


def change_contrast(channels: Tensor, places: Sequence[int], factors: Tensor) -> None:
    """Multiply the distance from the mean of the channels *places* by *factors* ``(N,)``, within their range."""
    for place in places:
        channel = channels[place]
        low, high, mean, _ = _moments(channel)
        channel.sub_(mean).mul_(float(factors[place])).add_(mean)
        channel.copy_(torch.clamp(channel, *(torch.as_tensor(end) for end in (low, high))))


def change_gamma(channels: Tensor, places: Sequence[int], exponents: Tensor, inverted: bool) -> None:
    """Raise the channels *places*, taken to [0, 1], to *exponents* ``(N,)``; their mean and deviation stay."""
    for place in places:
        channel = channels[place]
        if inverted:
            channel.neg_()
        low, high, mean, deviation = _moments(channel)
        channel.sub_(low).div_(_at_least(high - low)).pow_(float(exponents[place]))
        _, _, mean_after, deviation_after = _moments(channel)
        channel.sub_(mean_after).mul_(deviation / _at_least(deviation_after)).add_(mean)
        if inverted:
            channel.neg_()


def _moments(channel: Tensor) -> tuple[Number, Number, Number, Number]:
    """Least, greatest, mean and standard deviation; of other devices as tensors, which nothing waits for."""
    if loops := kernels_for(channel, "augmentation.compiled"):
        found: tuple[float, float, float, float] = loops.moments(channel.view(-1).numpy())
        return found
    low, high = channel.aminmax()
    deviation, mean = torch.std_mean(channel)
    return low, high, mean, deviation


def _at_least(value: Number) -> Number:
    return value.clamp_min(_LEAST) if isinstance(value, Tensor) else max(value, _LEAST)
