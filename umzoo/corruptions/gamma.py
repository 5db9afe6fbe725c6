"""Gamma transform of the intensity, or of the inverted intensity."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.corruptions.itemwise import ItemwiseCorruption, per_item
from umzoo.fields import Fields, Rng


class Gamma(ItemwiseCorruption):
    """Map x to ``x ** gamma``, or to ``1 - (1 - x) ** gamma``. Values outside [0, 1] are clamped first."""

    name = "gamma"

    class Config(config.Config):
        """Options of ``gamma``."""

        p: float = Field(0.3, ge=0, le=1, description="probability per image")
        low: float = Field(0.7, gt=0, description="minimum exponent")
        high: float = Field(1.5, gt=0, description="maximum exponent")
        invert: float = Field(0.25, ge=0, le=1, description="probability of the inverted transform, if applied")

    def sample(self, shape: torch.Size, rng: Rng) -> Fields:
        """Return ``applied`` and ``inverted``, bool ``(B,)``, and ``gamma``, float32 ``(B,)``."""
        count = (shape[0],)
        return {
            "applied": rng.bernoulli(count, self.config.p),
            "inverted": rng.bernoulli(count, self.config.invert),
            "gamma": rng.uniform(count, self.config.low, self.config.high),
        }

    def apply_item_(self, item: Tensor, params: Fields) -> None:
        """Map *item* ``(C, D, H, W)`` in place."""
        if not params["applied"]:
            return
        item.clamp_(0, 1)
        if params["inverted"]:
            item.neg_().add_(1).pow_(params["gamma"]).neg_().add_(1)
        else:
            item.pow_(params["gamma"])

    def apply_batch(self, image: Tensor, params: Fields) -> Tensor:
        """Return *image* ``(B, C, D, H, W)`` mapped."""
        inverted = per_item(params["inverted"])
        base = image.clamp(0, 1)
        power = torch.where(inverted, 1 - base, base) ** per_item(params["gamma"])
        return torch.where(per_item(params["applied"]), torch.where(inverted, 1 - power, power), image)
