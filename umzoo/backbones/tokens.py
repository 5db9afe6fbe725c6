"""What transformers on tokens share: tokens that are dropped, one level, a light decoder."""

from __future__ import annotations

from abc import abstractmethod
from math import prod
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

from torch import Tensor
from typing_extensions import Self

from umzoo.backbones.base import Backbone, Features, Size
from umzoo.errors import PluginError, in_one_line


class Tokens(NamedTuple):
    """What a transformer makes of an image.

    Attributes:
        patches: ``(B, n, C)``, in the order of the flattened grid; those that were not dropped.
        grid: tokens (D, H, W) of the whole image.
        pooled: ``(B, C)``, one vector an image.
    """

    patches: Tensor
    grid: Size
    pooled: Tensor

    def level(self, visible: Tensor | None) -> Tensor:
        """Return ``(B, C, D, H, W)`` of the grid; 0 where tokens are not among the *visible* ``(B, n)``."""
        tokens = self.patches
        if visible is not None:
            full = tokens.new_zeros(len(tokens), prod(self.grid), tokens.shape[2])
            tokens = full.scatter(1, visible.unsqueeze(2).expand_as(tokens), tokens)
        level: Tensor = tokens.transpose(1, 2).unflatten(2, self.grid)
        return level


class TokenBackbone(Backbone):
    """One level of features at the stride of the tokens, and a light decoder of transposed convolutions.

    The options have ``input_shape`` and ``token_size``.
    """

    default_shape: ClassVar[Size] = (96, 96, 96)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        shape = self.config.input_shape or self.default_shape
        self.config = self.config.model_copy(update={"input_shape": shape})
        depth, height, width = (n // edge for n, edge in zip(shape, self.config.token_size, strict=True))
        self.grid: Size = (depth, height, width)

    @classmethod
    def build(cls, options: Any, **context: Any) -> Self:
        """Make a network; ``patch_size`` of the *context* is the default of ``input_shape``.

        Raises:
            ConfigError: if the patch size is no multiple of the token size.
        """
        if options.input_shape is None and context.get("patch_size"):
            values = {**options.model_dump(), "input_shape": tuple(context["patch_size"])}
            options = cls.Config.parse(values, f"backbone {cls.name}")
        return cls(options)

    @abstractmethod
    def tokens(self, image: Tensor, visible: Tensor | None = None) -> Tokens:
        """Return what the transformer makes of *image* ``(B, C, D, H, W)``.

        Args:
            image: the image.
            visible: int64 ``(B, n)``, positions in the flattened grid (D, H, W) of the tokens that the transformer
                sees. The others are dropped before it: they cost nothing.
        """

    def encode(self, image: Tensor, visible: Tensor | None = None) -> list[Tensor]:
        """Return the one level of *image* ``(B, C, D, H, W)``; it is 0 where tokens are not *visible*."""
        return [self.tokens(image, visible).level(visible)]

    def forward(self, image: Tensor, dense: bool = False, visible: Tensor | None = None) -> Features:
        """Return the features of *image* ``(B, C, D, H, W)``, with the dense features if *dense*.

        ``pooled`` is of the *visible* tokens, of all if it is None (see :meth:`tokens`).
        """
        tokens = self.tokens(image, visible)
        levels = [tokens.level(visible)]
        return Features(levels, self.decode(levels) if dense else None, tokens.pooled)

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, decoder_channels, D, H, W)`` of *levels*."""
        decoder: Any = self.decoder
        dense: Tensor = decoder["up_projection"](levels[0])
        return dense


def take(tokens: Tensor, visible: Tensor) -> Tensor:
    """Return the tokens ``(B, n, C)`` at the positions *visible* ``(B, n)`` of *tokens* ``(B, N, C)``."""
    return tokens.gather(1, visible.unsqueeze(2).expand(-1, -1, tokens.shape[2]))


def building_blocks(name: str) -> SimpleNamespace:
    """Return what backbone *name* is made of. Imported late: it needs timm, and timm a torchvision that fits torch.

    Raises:
        PluginError: if they cannot be imported.
    """
    try:
        from dynamic_network_architectures.building_blocks.eva import Eva
        from dynamic_network_architectures.building_blocks.patch_encode_decode import PatchDecode, PatchEmbed
        from dynamic_network_architectures.initialization.weight_init import InitWeights_He
        from timm.models.vision_transformer import Block
    except Exception as error:  # a torchvision built for another torch raises RuntimeError
        reason = in_one_line(error)
        raise PluginError(
            f"{name} needs timm, which cannot be imported ({type(error).__name__}: {reason}):"
            " install torch and torchvision from the same index"
        ) from error
    return SimpleNamespace(Eva=Eva, Block=Block, PatchDecode=PatchDecode, PatchEmbed=PatchEmbed, He=InitWeights_He)
