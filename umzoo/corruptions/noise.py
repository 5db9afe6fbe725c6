"""Additive Gaussian noise."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.corruptions.itemwise import ItemwiseCorruption, per_item
from umzoo.fields import Fields, Rng
from umzoo.noise.counter import draw_seeds, normal_like


class Noise(ItemwiseCorruption):
    """Add white Gaussian noise with random standard deviation; the result is clamped to [0, 1]."""

    name = "noise"

    class Config(config.Config):
        """Options of ``noise``."""

        p: float = Field(0.15, ge=0, le=1, description="probability per image")
        std: tuple[float, float] = Field(
            (0.0, 0.1), description="minimum and maximum standard deviation, for intensities in [0, 1]"
        )

    def sample(self, shape: torch.Size, rng: Rng) -> Fields:
        """Return ``applied``, bool ``(B,)``, ``std``, float32 ``(B,)``, and ``seed``, int32 ``(B,)``."""
        return {
            "applied": rng.bernoulli((shape[0],), self.config.p),
            "std": rng.uniform((shape[0],), *self.config.std),
            "seed": draw_seeds(rng, shape[0]),
        }

    def apply_item_(self, item: Tensor, params: Fields) -> None:
        """Add noise to *item* ``(C, D, H, W)`` in place."""
        if params["applied"]:
            item.add_(normal_like(params["seed"], item).mul_(params["std"])).clamp_(0, 1)

    def apply_batch(self, image: Tensor, params: Fields) -> Tensor:
        """Return *image* ``(B, C, D, H, W)`` with noise."""
        noisy = normal_like(params["seed"], image).mul_(per_item(params["std"])).add_(image).clamp_(0, 1)
        return torch.where(per_item(params["applied"]), noisy, image)
