"""Pooling of feature levels to vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from umzoo.errors import ConfigError, nearest


def pool(level: Tensor, pooling: str, mask: Tensor | None = None) -> Tensor:
    """Pool a level over space.

    Args:
        level: ``(B, C, d, h, w)``.
        pooling: ``"mean"``, ``"max"``, ``"std"`` or ``"mean+max"`` of every channel, or ``"octants"``, the means over
            each octant. ``std`` is informative if an instance norm makes all means equal, and ``octants`` preserves
            orientation.
        mask: ``(B, 1, d, h, w)`` or broadcastable; voxels where it is 0 are ignored. Scans with an empty mask get
            zeros.

    Returns:
        ``(B, n)``: n is C, 2 C for ``mean+max`` and 8 C for ``octants``.

    Raises:
        ConfigError: if there is no such *pooling*, or the shape of *level* or *mask* does not fit.
    """
    known_pooling(pooling)
    if level.ndim != 5:
        raise ConfigError(f"a level is (B, C, D, H, W), got {tuple(level.shape)}")
    return POOLINGS[pooling](level, _weights(level, mask))


def known_pooling(pooling: str) -> str:
    """Return *pooling* if it exists.

    Raises:
        ConfigError: if it does not exist.
    """
    if pooling not in POOLINGS:
        hint = nearest(pooling, POOLINGS) or f" (known: {', '.join(POOLINGS)})"
        raise ConfigError(f"unknown pooling '{pooling}'{hint}")
    return pooling


def pooled_channels(channels: int, pooling: str) -> int:
    """Return the length of the pooled vector of a level with *channels*."""
    return channels * {"mean+max": 2, "octants": 8}.get(pooling, 1)


def _weights(level: Tensor, mask: Tensor | None) -> Tensor:
    """Return 1 for included voxels and 0 for others, ``(B, 1, d, h, w)``."""
    shape = (len(level), 1, *level.shape[2:])
    if mask is None:
        return level.new_ones(shape)
    try:
        return (mask != 0).to(level).expand(shape)
    except RuntimeError:
        raise ConfigError(f"the mask must broadcast to {shape}, got {tuple(mask.shape)}: resize it") from None


def _mean(level: Tensor, weights: Tensor) -> Tensor:
    return (level * weights).sum((2, 3, 4)) / weights.sum((2, 3, 4)).clamp(min=1)


def _std(level: Tensor, weights: Tensor) -> Tensor:
    centered = level - _mean(level, weights)[..., None, None, None]
    return _mean(centered.square(), weights).sqrt()


def _max(level: Tensor, weights: Tensor) -> Tensor:
    greatest = level.masked_fill(weights == 0, -torch.inf).amax((2, 3, 4))
    return greatest.where(weights.amax((2, 3, 4)) > 0, 0)


def _both(level: Tensor, weights: Tensor) -> Tensor:
    return torch.cat((_mean(level, weights), _max(level, weights)), dim=1)


def _octants(level: Tensor, weights: Tensor) -> Tensor:
    total, count = (functional.adaptive_avg_pool3d(value, 2) for value in (level * weights, weights))
    return torch.where(count > 0, total / count.where(count > 0, 1), 0).flatten(1)


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "max": _max,
    "std": _std,
    "mean+max": _both,
    "octants": _octants,
}
"""Kinds of pooling by name."""
