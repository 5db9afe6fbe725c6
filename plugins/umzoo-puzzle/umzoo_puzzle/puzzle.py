"""Base class of puzzles: a volume is cut into tiles, and the network processes each tile separately."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

import umzoo
from umzoo.errors import ConfigError
from umzoo_puzzle.orders import distant_orders

Count = Annotated[int, Field(ge=1)]
Size = tuple[int, int, int]

LEAST_EDGE = 0.75
"""Minimum edge of a tile with random offset, as a fraction of its cell's edge."""


class PuzzleConfig(umzoo.Config):
    """Options of both puzzles."""

    grid: tuple[Count, Count, Count] = Field((2, 2, 2), description="tiles along D, H and W")
    orders: int = Field(
        100, ge=2, description="number of orders to classify, with large Hamming distances between them"
    )
    hidden: int = Field(64, ge=1, description="channels of a tile's embedding")


class Puzzle(umzoo.PretextTask):
    """Crop tiles with random offsets, shuffle them, and classify their order from the features of all tiles."""

    Config = PuzzleConfig
    config: PuzzleConfig

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        self.cell = tuple(n // k for n, k in zip(context.patch_size, self.config.grid, strict=True))
        self.tile = self._tile_size()
        depth, height, width = self.config.grid
        self.tiles = depth * height * width
        self.register_buffer("orders", distant_orders(self.tiles, self.config.orders))
        self.embed = nn.Sequential(nn.Linear(8 * context.backbone.levels[-1].channels, self.config.hidden), nn.ReLU())
        self.head = nn.Linear(self.tiles * self.config.hidden, self.config.orders)

    def _tile_size(self) -> Size:
        """Return the largest valid size of a tile below that of the cell, or the cell's size if that is too small."""
        info = self.context.backbone
        below = _multiple(tuple(n - 1 for n in self.cell), info.divisor)
        for size in (below, _multiple(self.cell, info.divisor)):
            large = all(edge >= LEAST_EDGE * n for edge, n in zip(size, self.cell, strict=True))
            if (large or size is not below) and min(size) > 0 and info.nearest_size(size) == size:
                return size
        raise ConfigError(
            f"{self.name} cuts data.patch_size {self.context.patch_size} into cells of {self.cell}, too small for a"
            f" backbone whose sizes are multiples of {info.divisor}: the nearest is {info.nearest_size(self.cell)}"
        )

    def cut(self, image: Tensor, rng: umzoo.Rng) -> Tensor:
        """Crop tiles ``(B, T, C, d, h, w)`` from *image* ``(B, C, D, H, W)``, each at a random position in its cell.

        The gaps prevent the network from matching edges.
        """
        room = [n - edge for n, edge in zip(self.cell, self.tile, strict=True)]
        shape = (len(image), self.tiles)
        host = rng.host()
        offsets = torch.stack([host.integers(shape, 0, most) for most in room], dim=2)
        cells = torch.cartesian_prod(*(torch.arange(k) for k in self.config.grid)).view(-1, 3)
        starts = offsets + cells * torch.tensor(self.cell)
        rows = zip(image, starts.tolist(), strict=True)
        return torch.stack([torch.stack([self._crop(item, *start) for start in row]) for item, row in rows])

    def _crop(self, item: Tensor, z: int, y: int, x: int) -> Tensor:
        depth, height, width = self.tile
        return item[:, z : z + depth, y : y + height, x : x + width]

    def shuffle(self, image: Tensor, rng: umzoo.Rng) -> tuple[Tensor, Tensor]:
        """Return tiles ``(B, T, C, d, h, w)`` in a random order of the set, and its index, int64 ``(B,)``."""
        tiles = self.cut(image, rng.fork(0))
        label = rng.integers((len(image),), 0, self.config.orders - 1)
        order = self.orders.to(image.device)[label]
        return tiles[torch.arange(len(image), device=image.device)[:, None], order], label

    def embeddings(self, features: umzoo.Features) -> Tensor:
        """Return the tiles' embeddings ``(B, T, hidden)``."""
        embedded: Tensor = self.embed(features.octants).unflatten(0, (self.tiles, -1))
        return embedded.transpose(0, 1)


def as_views(tiles: Tensor) -> Tensor:
    """Reshape the tiles ``(B, T, C, d, h, w)`` to views ``(T * B, C, d, h, w)``."""
    return tiles.transpose(0, 1).flatten(0, 1)


def _multiple(size: tuple[int, ...], divisor: Size) -> Size:
    depth, height, width = (n // d * d for n, d in zip(size, divisor, strict=True))
    return depth, height, width
