"""An embedding per image."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from umzoo import config
from umzoo.backbones.base import BackboneInfo, Features
from umzoo.heads.base import Head


class Projection(Head):
    """A multilayer perceptron on the pooled features, as in SimCLR (Chen et al., ICML 2020)."""

    name = "projection"

    class Config(config.Config):
        """Options."""

        dim: int = Field(128, ge=1, description="length of the embedding")
        hidden: int = Field(512, ge=1, description="channels of the hidden layer")
        normalize: bool = Field(True, description="scale embeddings to unit length")

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info)
        self.layers = nn.Sequential(
            nn.Linear(info.levels[-1].channels, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.dim)
        )

    def forward(self, features: Features) -> Tensor:
        """Return embeddings ``(B, dim)``."""
        embedding: Tensor = self.layers(features.pooled)
        return functional.normalize(embedding, dim=1) if self.config.normalize else embedding
