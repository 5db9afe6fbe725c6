"""Local pixel shuffling: random permutation of voxels within small windows."""

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

    ``law = "exact"`` equals Models Genesis (``pytorch/utils.py``, ``local_pixel_shuffling``): 10,000 blocks for any
    size of image, with edges from 1 to S//10 voxels, at random positions. Each block shuffles the voxels of the
    *original* image; where blocks overlap, the last one counts. ``law = "tiles"`` draws edges of the same distribution,
    but once per image, and shuffles within disjoint tiles of that size: a true permutation of the voxels, of similar
    strength and much faster.

    Below 20 voxels, where S//10 is 0 or 1, the maximum edge is 2. All channels have the same permutation.
    """

    name = "local_shuffle"

    class Config(config.Config):
        """Options of ``local_shuffle``."""

        p: float = Field(0.5, ge=0, le=1, description="probability per image")
        law: Literal["tiles", "exact"] = Field(
            "tiles", description="tiles: disjoint tiles; exact: the 10,000 overlapping blocks of Models Genesis"
        )

    def draw(self, image: Tensor, rng: Rng) -> Fields:
        """Return ``applied``, bool ``(B,)``, ``seed``, int32 ``(B,)``, and for tiles ``edge`` and ``origin``.

        These two are int64 ``(B, 3)``, voxels (D, H, W). All are on the CPU, which needs them to launch kernels.
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
    """Return the maximum edge of a window along an axis of *size* voxels."""
    return size // 10 if size >= 20 else min(size, 2)
