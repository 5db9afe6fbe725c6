"""Base class of heads."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from umzoo.backbones.base import BackboneInfo, Features
from umzoo.registry import Component
from umzoo.spec import ComponentSpec


class Head(nn.Module, Component):
    """Computes predictions from :class:`Features`."""

    kind: ClassVar[str] = "head"
    dense: ClassVar[bool] = False
    """Whether the head needs the decoder's dense features."""

    def __init__(self, config: Any, info: BackboneInfo) -> None:
        super().__init__()
        self.config = config

    @property
    def spec(self) -> ComponentSpec:
        """Name and all options, from which the head can be rebuilt."""
        return ComponentSpec.parse({"name": self.name, **self.config.model_dump(mode="json")})

    @abstractmethod
    def forward(self, features: Features) -> Tensor:
        """Return the prediction, ``(B, n)`` or ``(B, n, D, H, W)``."""
