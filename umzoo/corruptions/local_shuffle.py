"""Local pixel shuffling: voxels change places within small windows."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.corruptions import blocks, tiles
from umzoo.corruptions.base import Corruption
from umzoo.corruptions.itemwise import apply_itemwise
from umzoo.fields import Fields, Rng
from umzoo.noise.counter import draw_seeds, integers_between


class LocalShuffle(Corruption):
    """Shuffle voxels within windows of at most a tenth of the image along each axis.

    ``law = "exact"`` is that of Models Genesis (``pytorch/utils.py``, ``local_pixel_shuffling``): 10,000 blocks
    whatever the size of the image, each with edges from 1 to S//10 voxels at a random place, each shuffling what
    the *original* image has there; where blocks overlap, the last one counts. ``law = "tiles"`` draws edges the same
    way, but once per image, and shuffles within disjoint tiles of that size: a true permutation of the voxels, of
    about the same strength and much faster.

    Below 20 voxels, where S//10 leaves nothing to shuffle or is 0, the greatest edge is 2. All channels are
    shuffled alike.
    """

    name = "local_shuffle"

    class Config(config.Config):
        """Options of ``local_shuffle``."""

        p: float = Field(0.5, ge=0, le=1, description="probability per image")
        law: Literal["tiles", "exact"] = Field(
            "tiles", description="disjoint tiles, or the 10,000 overlapping blocks of Models Genesis"
        )

    def draw(self, image: Tensor, rng: Rng) -> Fields:
        """Return ``applied``, bool ``(B,)``, ``seed``, int32 ``(B,)``, and for tiles ``edge`` and ``origin``.

        These two are int64 ``(B, 3)``, voxels (D, H, W). All stay on the CPU, which decides by them what to launch.
        """
        rng = rng.host()
        params = {"applied": rng.bernoulli((len(image),), self.config.p), "seed": draw_seeds(rng, len(image))}
        if self.config.law == "tiles":
            size = torch.tensor(image.shape[2:]).expand(len(image), 3)
            greatest = torch.tensor([greatest_edge(s) for s in image.shape[2:]]).expand(len(image), 3)
            params["edge"] = edge = integers_between(rng, torch.ones_like(greatest), greatest)
            params["origin"] = integers_between(rng, torch.zeros_like(edge), (edge - 1).minimum(size - edge))
        return params

    def apply(self, image: Tensor, params: Fields) -> Tensor:
        """Return a shuffled copy of *image* ``(B, C, D, H, W)``."""
        return apply_itemwise(self, image, params)

    def apply_item_(self, item: Tensor, params: Fields) -> None:
        """Shuffle *item* ``(C, D, H, W)`` in place."""
        if not params["applied"]:
            return
        if self.config.law == "tiles":
            tiles.shuffle_(item, params["edge"].tolist(), params["origin"].tolist(), params["seed"])
        else:
            _, depth, height, width = map(greatest_edge, item.shape)
            blocks.shuffle_(item, (depth, height, width), int(params["seed"]))


def greatest_edge(size: int) -> int:
    """Return the greatest edge of a window along an axis of *size* voxels."""
    return size // 10 if size >= 20 else min(size, 2)
