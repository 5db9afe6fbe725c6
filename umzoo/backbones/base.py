"""What every 3D backbone offers: levels of features, a dense map, and a description of both."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from umzoo.registry import Component

InputSpace = Literal["unit", "zscore"]


@dataclass(frozen=True)
class Level:
    """One level of features: its channels and its stride against the input, in voxels (D, H, W)."""

    channels: int
    stride: tuple[int, int, int]


@dataclass(frozen=True)
class BackboneInfo:
    """What a backbone says of itself; the conformance kit compares it with real shapes.

    Attributes:
        in_channels: channels of the input image.
        levels: the levels that ``encode`` returns, fine to coarse.
        decoder_channels: channels of the dense map, None without a decoder.
        input_space: ``"unit"`` if the network expects [0, 1], ``"zscore"`` if zero mean and unit variance.
        divisor: the input's size must be a multiple of this, per axis (D, H, W).
    """

    in_channels: int
    levels: tuple[Level, ...]
    decoder_channels: int | None
    input_space: InputSpace = "zscore"
    divisor: tuple[int, int, int] = (1, 1, 1)


@dataclass
class Features:
    """What a forward pass gives.

    Attributes:
        levels: ``(B, C_i, D/s, H/s, W/s)`` tensors, fine to coarse.
        dense: ``(B, decoder_channels, D, H, W)``, or None if it was not asked for.
        pooled: ``(B, C_last)``, the mean of the coarsest level over space.
    """

    levels: list[Tensor]
    dense: Tensor | None
    pooled: Tensor


class Backbone(Component, nn.Module):
    """A 3D network. All parameters live under ``encoder.*`` and ``decoder.*``: that is the weights contract."""

    info: BackboneInfo

    @abstractmethod
    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the levels of *image* ``(B, C, D, H, W)``, fine to coarse."""

    @abstractmethod
    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense map ``(B, decoder_channels, D, H, W)`` of *levels*."""

    def forward(self, image: Tensor, dense: bool = False) -> Features:
        """Return the features of *image* ``(B, C, D, H, W)``, with the dense map if *dense*."""
        levels = self.encode(image)
        pooled = levels[-1].mean(dim=(2, 3, 4))
        return Features(levels, self.decode(levels) if dense else None, pooled)
