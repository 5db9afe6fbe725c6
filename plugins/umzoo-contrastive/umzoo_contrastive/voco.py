"""VoCo (Wu et al., CVPR 2024): predicts the position of a crop in its volume by its similarity to base crops.

The loss is that of the paper's released code (Luffy03/VoCo, models/voco_head.py) without its moving-average teacher,
which the paper does not have. There, negative cosines count as 0 and give no gradient: once all are negative, the
network stops learning. Here the overlap still attracts them. The paper describes a crop by one mean of each channel;
here there is one for each octant.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

import umzoo
from umzoo.errors import ConfigError
from umzoo.pretext.labels import classification_metrics
from umzoo.pretext.projection import Projection, similarity

Count = Annotated[int, Field(ge=1)]


class VoCo(umzoo.PretextTask):
    """Matches the similarity of a random crop to each cell of a grid with their overlap, and repels cells.

    It works with a batch of one, since a volume is contrasted with itself. Metrics: ``accuracy``, the fraction of
    random crops whose most similar cell is that of the largest overlap; ``chance``; and ``baseline``, the smallest
    position loss with a constant cosine.
    """

    name = "voco"
    citations = (
        "Wu et al., VoCo: A Simple-yet-Effective Volume Contrastive Learning Framework for 3D Medical Image Analysis,"
        " CVPR 2024",
    )

    class Config(umzoo.Config):
        """Options of ``voco``."""

        grid: tuple[Count, Count, Count] = Field((2, 2, 2), description="base crops along D, H and W")
        crops: int = Field(2, ge=1, description="random crops per volume")
        corruptions: tuple[umzoo.ComponentSpec, ...] = Field((), description="corruptions of each crop, in order")
        regularization: float = Field(1.0, ge=0, description="weight of the loss that makes base crops dissimilar")
        hidden: int = Field(512, ge=1, description="channels of the projection's hidden layer")
        dim: int = Field(128, ge=1, description="length of the embedding")

    config: Config

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        size, grid, info = context.patch_size, self.config.grid, context.backbone
        depth, height, width = (n // k for n, k in zip(size, grid, strict=True))
        self.cell = (depth, height, width)
        self.cells = torch.cartesian_prod(*(torch.arange(k) for k in grid)).view(-1, 3) * torch.tensor(self.cell)
        if any(n % k for n, k in zip(size, grid, strict=True)) or info.nearest_size(self.cell) != self.cell:
            raise ConfigError(
                f"voco cuts data.patch_size {size} into {grid} crops, which must be of a size the backbone takes:"
                f" {self.cell} is not, the nearest is {info.nearest_size(self.cell)}"
            )
        if len(self.cells) < 2:
            raise ConfigError("voco needs at least two base crops, got 1: set pretext.tasks.voco.grid")
        self.corruptions = umzoo.build_corruptions(self.config.corruptions, "pretext.tasks.voco.corruptions")
        self.head = Projection(8 * info.levels[-1].channels, self.config.hidden, self.config.dim, centered=False)

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Return base and random crops of all items, ``((T + R) * B, C, d, h, w)``, and ``overlap`` ``(B, R, T)``."""
        image = batch["image"]
        room = [n - edge for n, edge in zip(image.shape[2:], self.cell, strict=True)]
        host, shape = rng.host(), (len(image), self.config.crops)
        starts = torch.stack([host.integers(shape, 0, most) for most in room], dim=2)
        corners = torch.cat((self.cells.expand(len(image), -1, -1), starts), dim=1)
        pairs = [(item, corner) for number in corners.unbind(1) for item, corner in zip(image, number, strict=True)]
        crops = torch.stack([self._crop(item, *corner.tolist()) for item, corner in pairs])
        corrupted, _, _ = self.corruptions(crops, rng.fork(0))
        return {"image": corrupted, "overlap": self.overlaps(starts).to(image.device)}

    def overlaps(self, starts: Tensor) -> Tensor:
        """Return the fraction of each crop at *starts* ``(B, R, 3)`` that is in each cell, ``(B, R, T)``."""
        edge = torch.tensor(self.cell)
        distance = (starts.unsqueeze(2) - self.cells).abs()
        return ((edge - distance).clamp_min(0) / edge).prod(dim=3)

    def _crop(self, item: Tensor, z: int, y: int, x: int) -> Tensor:
        depth, height, width = self.cell
        return item[:, z : z + depth, y : y + height, x : x + width]

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return the position loss of random crops plus the regularization of base crops."""
        overlap = views["overlap"]
        embedding = self.head(features.octants).unflatten(0, (-1, len(overlap))).transpose(0, 1)
        bases, crops = embedding[:, : len(self.cells)], embedding[:, len(self.cells) :]
        cosines = similarity(crops, bases)
        self.metrics |= classification_metrics(cosines.flatten(0, 1), overlap.argmax(2).flatten())
        self.metrics["baseline"] = constant_loss(overlap)
        among = similarity(bases, bases).relu().square()
        pairs = torch.ones(among.shape[1:], dtype=torch.bool, device=among.device).triu(1)
        return position_loss(cosines, overlap) + self.config.regularization * among[:, pairs].mean()


def constant_loss(overlap: Tensor) -> Tensor:
    """Return the smallest position loss with one cosine for all pairs."""
    levels = torch.linspace(0, 1, 21, device=overlap.device).unbind()
    return torch.stack([position_loss(level.expand_as(overlap), overlap) for level in levels]).amin()


def position_loss(cosines: Tensor, overlap: Tensor) -> Tensor:
    """Return ``-log(1 - |overlap - cosine|)`` weighted by the overlap, plus the squared cosine where that is 0."""
    close = -torch.log((1 - (overlap - cosines).abs()).clamp_min(0) + 1e-6)
    apart = overlap == 0
    unlike = (cosines.relu().square() * apart).sum() / apart.sum().clamp_min(1)
    return (overlap * close).sum() / overlap.sum() + unlike
