"""Flips of input and target alike, by the law of Models Genesis."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.corruptions.itemwise import ItemwiseCorruption, per_item
from umzoo.fields import Fields, Rng

ROUNDS = 3


class Flip(ItemwiseCorruption):
    """Flip in-plane axes of the image and of the target.

    Up to three rounds, each entered with probability ``p`` after the one before it; a round flips one of three
    axes at random. In Models Genesis (``pytorch/utils.py``, ``data_augmentation``) the first of these is the
    channel, so a third of the rounds does nothing, H and W end up flipped in 15.4 % of the images each, and depth
    never; ``depth = true`` puts depth in the channel's place.
    """

    name = "flip"
    alters_target = True

    class Config(config.Config):
        """Options of ``flip``."""

        p: float = Field(0.4, ge=0, le=1, description="probability of a first round, and of each further one")
        depth: bool = Field(False, description="flip depth too, instead of the original's idle axis")

    def sample(self, shape: torch.Size, rng: Rng) -> Fields:
        """Return ``axes``, bool ``(B, 3)``: which of D, H, W are flipped."""
        entered = rng.bernoulli((shape[0], ROUNDS), self.config.p).cumprod(1)
        axis = rng.integers((shape[0], ROUNDS), 0, 2)
        times = torch.zeros_like(axis).scatter_add_(1, axis, entered)
        axes = times % 2 == 1
        axes[:, 0] &= self.config.depth
        return {"axes": axes}

    def apply_item_(self, item: Tensor, params: Fields) -> None:
        """Flip *item* ``(C, D, H, W)`` in place."""
        dims = [dim for dim, flipped in enumerate(params["axes"].tolist(), 1) if flipped]
        if dims:
            item.copy_(item.flip(dims))

    def apply_batch(self, image: Tensor, params: Fields) -> Tensor:
        """Return *image* ``(B, C, D, H, W)`` flipped."""
        for dim, flipped in enumerate(params["axes"].unbind(1), 2):
            image = torch.where(per_item(flipped), image.flip(dim), image)
        return image
