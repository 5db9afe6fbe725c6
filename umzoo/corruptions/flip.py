"""Flips of both input and target, with the distribution of Models Genesis."""

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

    There are up to three rounds, each with probability ``p`` after the previous one; a round flips one of three axes at
    random. In Models Genesis (``pytorch/utils.py``, ``data_augmentation``), the first of these axes is the channel, so
    a third of the rounds has no effect, H and W are each flipped in 15.4 % of the images, and depth never;
    ``depth = true`` uses depth instead of the channel.
    """

    name = "flip"
    alters_target = True

    class Config(config.Config):
        """Options of ``flip``."""

        p: float = Field(0.4, ge=0, le=1, description="probability of the first round, and of each further one")
        depth: bool = Field(False, description="also flip depth, instead of the channel axis of Models Genesis")

    def sample(self, shape: torch.Size, rng: Rng) -> Fields:
        """Return ``axes``, bool ``(B, 3)``: the flipped axes of D, H, W."""
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
