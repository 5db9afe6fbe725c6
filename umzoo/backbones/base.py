"""What every 3D backbone offers: levels of features, a dense map, and a description of both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import Self

import umzoo
from umzoo.backbones.features import Features as Features
from umzoo.errors import ConfigError
from umzoo.registry import Component
from umzoo.spec import ComponentSpec

InputSpace = Literal["unit", "zscore"]
Size = tuple[int, int, int]


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
        least_voxels: voxels the coarsest level needs: 2 where a norm has to see more than one.
        drops_tokens: whether ``forward`` takes ``visible``, the tokens that are not dropped, as primus and vit3d do.
        positions: learned position embeddings ``(1, n, C)`` by name, with the tokens (D, H, W) they are made for.
    """

    in_channels: int
    levels: tuple[Level, ...]
    decoder_channels: int | None
    input_space: InputSpace = "zscore"
    divisor: tuple[int, int, int] = (1, 1, 1)
    least_voxels: int = 1
    drops_tokens: bool = False
    positions: Mapping[str, Size] = field(default_factory=dict, hash=False)

    def nearest_size(self, size: Size) -> Size:
        """Return the usable input size nearest to *size* (D, H, W); *size* itself if it is usable."""
        counts = [max(1, (2 * n + d) // (2 * d)) for n, d in zip(size, self.divisor, strict=True)]
        if prod(counts) < self.least_voxels:
            counts = [2 * count for count in counts]
        depth, height, width = (count * d for count, d in zip(counts, self.divisor, strict=True))
        return depth, height, width


class Backbone(nn.Module, Component):
    """A 3D network. All parameters live under ``encoder.*`` and ``decoder.*``: that is the weights contract.

    ``nn.Module`` is the first base: FSDP2 changes the class of a network, which Python allows in this order only.
    """

    kind: ClassVar[str] = "backbone"
    config: Any
    info: BackboneInfo
    weights_info: Any = None
    """What the weights folder said that the network was loaded from, None with random weights."""
    weights_origin: Any = None
    """Where these weights are to be found, as a record for those who train on from them."""

    image_kernels: ClassVar[tuple[str, ...]] = ()
    """Names of all kernels that read the image, whose axis 1 is its channels; empty: the first one of the encoder."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Other libraries whose networks take its weights: ``nnunet``, for its training, or as ``monai``, by a transfer."""
    fixed_export: ClassVar[str] = ""
    """Why ``torch.export`` and ONNX have to be told one size of image, in a line; empty where they need not."""

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        self.config = self.Config() if config is None else config

    @classmethod
    def build(cls, options: Any, **context: Any) -> Self:
        """Make a network; *context* (such as ``patch_size``) is for those whose shape depends on it."""
        return cls(options)

    @classmethod
    def contract_names(cls, names: Sequence[str]) -> Mapping[str, str]:
        """Return the names by the contract of what another library's network of this architecture calls *names*.

        Empty if *names* are those of something else; heads are left out.
        """
        return {}

    @property
    def caution(self) -> str:
        """What whoever loads this network should know of its answers, in a line; empty if there is nothing."""
        return ""

    @property
    def spec(self) -> ComponentSpec:
        """Name and all options: what rebuilds this network."""
        return ComponentSpec.parse({"name": self.name, **self.config.model_dump(mode="json")})

    def check_input(self, image: Tensor) -> None:
        """Refuse an *image* this network cannot take.

        Raises:
            ConfigError: if it is not a tensor ``(B, C, D, H, W)``, or its channels or size do not fit.
        """
        if not isinstance(image, Tensor):
            kind = type(image).__name__
            raise ConfigError(f"{self.name} expects a tensor, got {kind}: torch.from_numpy makes one of an array")
        if image.ndim != 5 or image.shape[1] != self.info.in_channels:
            raise ConfigError(
                f"{self.name} expects (B, {self.info.in_channels}, D, H, W), got {tuple(image.shape)}:"
                " add axes, or build it with other 'in_channels'"
            )
        if torch.compiler.is_exporting():  # sizes are symbols there, and their multiples are stated by who exports
            return
        size = (int(image.shape[2]), int(image.shape[3]), int(image.shape[4]))
        nearest = self.info.nearest_size(size)
        if nearest != size:
            rule = f"sizes that are multiples of {self.info.divisor}"
            if all(n % d == 0 for n, d in zip(size, self.info.divisor, strict=True)) and all(size):
                rule = f"images of at least {self.info.least_voxels} voxels at its stride of {self.info.divisor}"
            raise ConfigError(f"{self.name} takes {rule}, got {size}: the nearest usable size is {nearest}")

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload this network; see :func:`umzoo.push_to_hub`, whose options these are."""
        url: str = umzoo.push_to_hub(self, repo_id, **options)
        return url

    @abstractmethod
    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the levels of *image* ``(B, C, D, H, W)``, fine to coarse."""

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense map ``(B, decoder_channels, D, H, W)`` of *levels*.

        Raises:
            ConfigError: if the network has no decoder (``info.decoder_channels`` is None).
        """
        raise ConfigError(f"{self.name} has no decoder: take another backbone for what needs a dense map")

    def forward(self, image: Tensor, dense: bool = False) -> Features:
        """Return the features of *image* ``(B, C, D, H, W)``, with the dense map if *dense*.

        Raises:
            ConfigError: if the channels or the size of *image* do not fit.
        """
        self.check_input(image)
        levels = self.encode(image)
        pooled = levels[-1].mean(dim=(2, 3, 4))
        return Features(levels, self.decode(levels) if dense else None, pooled)
