"""Predictions per image: a linear layer on standardized pooled features."""

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
        "mean", description="pooling of the coarsest level to one vector: mean, max, std, mean+max or octants"
    )
    standardize: bool = Field(True, description="standardize the features by mean and standard deviation")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout rate before the layer")


class PooledHead(Head):
    """A linear layer on the pooled coarsest level.

    Pooled features hardly vary between images, especially after an instance norm, so a linear layer on them learns
    slowly. :meth:`set_statistics` standardizes them by the training set; until it is called, they are not changed.
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
        """Return the predictions ``(B, n)``."""
        vectors = self.pool(features)
        if self.config.standardize:
            vectors = (vectors - self.mean) / self.std
        answers: Tensor = self.layer(self.dropout(vectors))
        return answers

    def pool(self, features: Features) -> Tensor:
        """Return the vectors ``(B, n)`` before standardization."""
        pooling = self.config.pooling
        return features.pooled if pooling == "mean" else pool(features.levels[-1], pooling)

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Standardize by the *mean* and standard deviation *std* ``(n,)`` of :meth:`pool` over the training set.

        A constant feature (*std* below 1e-6) is only centered.

        Raises:
            ConfigError: if ``standardize`` is off, or the shapes differ from those of the features.
        """
        if not self.config.standardize:
            raise ConfigError(f"head '{self.name}' was built with standardize = false: leave it on to set statistics")
        for value in (mean, std):
            if value.shape != self.mean.shape:
                raise ConfigError(f"expected statistics {tuple(self.mean.shape)}, got {tuple(value.shape)}")
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std < 1e-6, 1.0, std))


class Classification(PooledHead):
    """Logits ``(B, classes)``: for a softmax over classes, or one sigmoid per class in multilabel tasks."""

    name = "classification"

    class Config(PooledConfig):
        """Options."""

        classes: int = Field(2, ge=1, description="number of classes")

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info, config.classes)


class Regression(PooledHead):
    """Unbounded numbers ``(B, targets)``."""

    name = "regression"

    class Config(PooledConfig):
        """Options."""

        targets: int = Field(1, ge=1, description="number of targets")

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info, config.targets)


class Survival(PooledHead):
    """Log-risk ``(B, 1)`` of a proportional hazards model (Cox, J. R. Stat. Soc. B 34, 1972).

    There is no bias, since the partial likelihood does not depend on it.
    """

    name = "survival"

    Config = PooledConfig

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__(config, info, 1, bias=False)
