"""Answers per image: a linear layer on standardized pooled features."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from umzoo.backbones.base import BackboneInfo, Features
from umzoo.backbones.pooling import known_pooling, pool, pooled_channels
from umzoo.config import Config
from umzoo.errors import ConfigError
from umzoo.heads.base import Head

Pooling = Annotated[str, AfterValidator(known_pooling)]


class PooledConfig(Config):
    """Options of heads on pooled features."""

    pooling: Pooling = Field(
        "mean", description="how the coarsest level becomes one vector: mean, max, std, mean+max or octants"
    )
    standardize: bool = Field(True, description="subtract a mean from the features and divide by a deviation")
    dropout: float = Field(0.0, ge=0, lt=1, description="rate of dropout before the layer")


class PooledHead(Head):
    """A linear layer on the pooled coarsest level.

    Pooled features hardly vary between images, least of all behind an instance norm, so a linear layer on them hardly
    learns. :meth:`set_statistics` standardizes them by the training set; until it is called they stay as they are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: Any, info: BackboneInfo, outputs: int, bias: bool = True) -> None:
        super().__init__(config, info)
        channels = pooled_channels(info.levels[-1].channels, config.pooling)
        if config.standardize:
            self.register_buffer("mean", torch.zeros(channels))
            self.register_buffer("std", torch.ones(channels))
        self.dropout = nn.Dropout(config.dropout)
        self.layer = nn.Linear(channels, outputs, bias=bias)

    def forward(self, features: Features) -> Tensor:
        """Return the answers ``(B, n)``."""
        vectors = self.pool(features)
        if self.config.standardize:
            vectors = (vectors - self.mean) / self.std
        answers: Tensor = self.layer(self.dropout(vectors))
        return answers

    def pool(self, features: Features) -> Tensor:
        """Return the vectors ``(B, n)`` before they are standardized."""
        pooling = self.config.pooling
        return features.pooled if pooling == "mean" else pool(features.levels[-1], pooling)

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Standardize by the *mean* and standard deviation *std* ``(n,)`` of :meth:`pool` over the training set.

        A feature that does not vary (*std* below 1e-6) is centered only.

        Raises:
            ConfigError: if ``standardize`` is off, or the shapes are not those of the features.
        """
        if not self.config.standardize:
            raise ConfigError(f"head '{self.name}' was built with standardize = false: leave it on to set statistics")
        for value in (mean, std):
            if value.shape != self.mean.shape:
                raise ConfigError(f"expected statistics {tuple(self.mean.shape)}, got {tuple(value.shape)}")
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std < 1e-6, 1.0, std))


class Classification(PooledHead):
    """Logits ``(B, classes)``: for a softmax over classes, or a sigmoid each where several may apply."""

    name = "classification"

    class Config(PooledConfig):
        """Options."""

        classes: int = Field(2, ge=1, description="classes")

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info, config.classes)


class Regression(PooledHead):
    """Numbers ``(B, targets)`` without a bound."""

    name = "regression"

    class Config(PooledConfig):
        """Options."""

        targets: int = Field(1, ge=1, description="numbers to predict")

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info, config.targets)


class Survival(PooledHead):
    """Log-risk ``(B, 1)`` of a proportional hazards model (Cox, J. R. Stat. Soc. B 34, 1972).

    There is no bias: the partial likelihood does not depend on one.
    """

    name = "survival"

    Config = PooledConfig

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info, 1, bias=False)
