"""Base class of 3D backbones: feature levels, dense features, and a description of both."""

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
    """One feature level: its channels, and its stride relative to the input in voxels (D, H, W)."""

    channels: int
    stride: tuple[int, int, int]


@dataclass(frozen=True)
class BackboneInfo:
    """Description of a backbone; the conformance tests compare it with actual shapes.

    Attributes:
        in_channels: channels of the input image.
        levels: the levels that ``encode`` returns, fine to coarse.
        decoder_channels: channels of the dense features, None without a decoder.
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
        """Return the valid input size that is nearest to *size* (D, H, W), or *size* itself if it is valid."""
        counts = [max(1, (2 * n + d) // (2 * d)) for n, d in zip(size, self.divisor, strict=True)]
        if prod(counts) < self.least_voxels:
            counts = [2 * count for count in counts]
        depth, height, width = (count * d for count, d in zip(counts, self.divisor, strict=True))
        return depth, height, width


class Backbone(nn.Module, Component):
    """A 3D network. All parameters must be under ``encoder.*`` and ``decoder.*`` (the weights contract).

    ``nn.Module`` is the first base: FSDP2 changes the class of a network, which Python only allows in this order.
    """

    kind: ClassVar[str] = "backbone"
    config: Any
    info: BackboneInfo
    weights_info: Any = None
    """Description of the weights folder that the network was loaded from, None with random weights."""
    weights_origin: Any = None
    """Reference of the loaded weights, recorded as base model by trainings that start from them."""

    image_kernels: ClassVar[tuple[str, ...]] = ()
    """Names of all kernels applied to the image, with its channels on axis 1; empty: the encoder's first kernel."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Other libraries that can load the weights: ``nnunet`` in its training; others, such as ``monai``, by transfer."""
    fixed_export: ClassVar[str] = ""
    """Reason in one line why ``torch.export`` and ONNX need a fixed image size; empty if they do not."""

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        self.config = self.Config() if config is None else config

    @classmethod
    def build(cls, options: Any, **context: Any) -> Self:
        """Build a network; *context* (such as ``patch_size``) is for networks whose shape depends on it."""
        return cls(options)

    @classmethod
    def contract_names(cls, names: Sequence[str]) -> Mapping[str, str]:
        """Return a mapping from tensor *names* of another library's equal architecture to names of the contract.

        It is empty if *names* belong to another architecture; heads are left out.
        """
        return {}

    @property
    def caution(self) -> str:
        """Warning in one line for users who load this network; empty if there is none."""
        return ""

    @property
    def spec(self) -> ComponentSpec:
        """Name and all options, from which the network can be rebuilt."""
        return ComponentSpec.parse({"name": self.name, **self.config.model_dump(mode="json")})

    def check_input(self, image: Tensor) -> None:
        """Check that *image* is a valid input.

        Raises:
            ConfigError: if it is not a tensor ``(B, C, D, H, W)``, or its channels or size do not fit.
        """
        if not isinstance(image, Tensor):
            kind = type(image).__name__
            raise ConfigError(f"{self.name} expects a tensor, got {kind}: convert arrays with torch.from_numpy")
        if image.ndim != 5 or image.shape[1] != self.info.in_channels:
            raise ConfigError(
                f"{self.name} expects (B, {self.info.in_channels}, D, H, W), got {tuple(image.shape)}:"
                " add axes, or build the network with other 'in_channels'"
            )
        if torch.compiler.is_exporting():  # sizes are symbolic, and the exporter declares their divisors
            return
        size = (int(image.shape[2]), int(image.shape[3]), int(image.shape[4]))
        nearest = self.info.nearest_size(size)
        if nearest != size:
            rule = f"sizes that are multiples of {self.info.divisor}"
            if all(n % d == 0 for n, d in zip(size, self.info.divisor, strict=True)) and all(size):
                rule = f"images of at least {self.info.least_voxels} voxels at its stride of {self.info.divisor}"
            raise ConfigError(f"{self.name} takes {rule}, got {size}: the nearest usable size is {nearest}")

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload this network; options are those of :func:`umzoo.push_to_hub`."""
        url: str = umzoo.push_to_hub(self, repo_id, **options)
        return url

    @abstractmethod
    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the levels of *image* ``(B, C, D, H, W)``, fine to coarse."""

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, decoder_channels, D, H, W)`` of *levels*.

        Raises:
            ConfigError: if the network has no decoder (``info.decoder_channels`` is None).
        """
        raise ConfigError(f"{self.name} has no decoder, which dense features need: choose another backbone")

    def forward(self, image: Tensor, dense: bool = False) -> Features:
        """Return the features of *image* ``(B, C, D, H, W)``, including dense features if *dense*.

        Raises:
            ConfigError: if the channels or the size of *image* do not fit.
        """
        self.check_input(image)
        levels = self.encode(image)
        pooled = levels[-1].mean(dim=(2, 3, 4))
        return Features(levels, self.decode(levels) if dense else None, pooled)
