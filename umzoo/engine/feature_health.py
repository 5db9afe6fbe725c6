"""Health of features: their collapse shows here long before it shows in a loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

DEAD = 0.01
"""A channel is dead if its standard deviation is at most this fraction of the median."""
FALL = 0.5
"""Fraction of the initial effective rank below which a warning is logged."""
MOST_DEAD = 0.25
"""Increase of the fraction of dead channels above which a warning is logged."""


def feature_health(features: Tensor) -> dict[str, float]:
    """Return effective rank, standard deviation and fraction of dead channels of pooled *features* ``(N, C)``.

    The effective rank is the exponential of the entropy of the singular values of the centered features (Roy and
    Vetterli, EUSIPCO 2007; RankMe, Garrido et al., ICML 2023): at most min(N - 1, C).
    """
    centered = features.double() - features.double().mean(0)
    if len(centered) < 2 or not centered.isfinite().all():
        return {"health.rank": float("nan"), "health.std": float("nan"), "health.dead": float("nan")}
    spread = centered.std(0)
    values = torch.linalg.svdvals(centered)
    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    rank = torch.special.entr(shares).sum().exp() if values.sum() > 0 else values.new_zeros(())
    dead = (spread <= DEAD * spread.median()).double().mean()
    return {"health.rank": float(rank), "health.std": float(spread.mean()), "health.dead": float(dead)}


def decline(first: Mapping[str, float], now: Mapping[str, float]) -> str | None:
    """Return a description of the decline if features are much less diverse than at *first*, else None."""
    if now["health.rank"] < FALL * first["health.rank"]:
        return f"the effective rank of the features fell from {first['health.rank']:.1f} to {now['health.rank']:.1f}"
    if now["health.dead"] > first["health.dead"] + MOST_DEAD:
        return f"{now['health.dead']:.0%} of the channels hardly vary, at first it was {first['health.dead']:.0%}"
    return None
