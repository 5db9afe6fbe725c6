"""One class per image."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from umzoo.backbones.base import BackboneInfo, Features
from umzoo.config import Config
from umzoo.heads.base import Head


class Classification(Head):
    """A linear layer on the pooled features."""

    name = "classification"

    class Config(Config):
        """Options."""

        classes: int = Field(2, ge=1, description="classes")
        dropout: float = Field(0.0, ge=0, lt=1, description="rate of dropout before the layer")

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info)
        self.dropout = nn.Dropout(config.dropout)
        self.layer = nn.Linear(info.levels[-1].channels, config.classes)

    def forward(self, features: Features) -> Tensor:
        """Return logits ``(B, classes)``."""
        logits: Tensor = self.layer(self.dropout(features.pooled))
        return logits
