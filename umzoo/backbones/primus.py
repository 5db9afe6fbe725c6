"""Primus (Wald et al., arXiv 2503.01835): an EVA-02 transformer on 8x8x8 tokens, through dynamic_network_architectures.

``encoder.*`` and ``decoder.*`` hold ``down_projection``, ``eva`` and ``up_projection`` under the names of nnU-Net's
own Primus. Tokens are laid out in the order of the axes (D, H, W).
"""

from __future__ import annotations

from math import prod
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import Self

from umzoo.backbones.base import Backbone, BackboneInfo, Features, Level, Size
from umzoo.config import Config
from umzoo.errors import PluginError, in_one_line

Count = Annotated[int, Field(ge=1, le=100_000)]
Edge = Annotated[int, Field(ge=2)]


class PrimusConfig(Config):
    """Options of ``primus_*``."""

    in_channels: Count = Field(1, description="channels of the input")
    input_shape: tuple[Count, Count, Count] | None = Field(
        None,
        description="voxels (D, H, W) the position embedding is made for; None: the recipe's patch size, or 96"
        " along each axis. Other sizes resize it",
    )
    token_size: tuple[Edge, Edge, Edge] = Field((8, 8, 8), description="voxels (D, H, W) of one token; powers of 2")
    embed_dim: Count = Field(396, description="channels of a token; a multiple of 6 times 'heads'")
    depth: Count = Field(12, description="transformer blocks")
    heads: Count = Field(6, description="attention heads")
    decoder_channels: Count = Field(32, description="channels of the dense map")
    drop_path: float = Field(0.0, ge=0, lt=1, description="rate of stochastic depth")
    layer_scale: float | None = Field(
        0.1, gt=0, description="initial scale of each block's branches, as in nnU-Net's presets; None: not scaled"
    )
    inner_norm: bool = Field(True, description="normalize inside attention, as nnU-Net's presets do")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.embed_dim % (6 * self.heads):
            raise ValueError(f"embed_dim must be a multiple of 6 * heads = {6 * self.heads}, got {self.embed_dim}")
        if any(edge & (edge - 1) for edge in self.token_size):
            raise ValueError(f"token_size must be powers of 2, got {self.token_size}")
        shape = self.input_shape or self.token_size
        if any(n % edge for n, edge in zip(shape, self.token_size, strict=True)):
            raise ValueError(f"input_shape must be a multiple of token_size {self.token_size}, got {shape}")
        return self


class Primus(Backbone):
    """One level of features at the stride of the tokens, and a light decoder of transposed convolutions."""

    default_shape: ClassVar[Size] = (96, 96, 96)
    image_kernels = ("encoder.down_projection.proj.weight",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.config = self.config.model_copy(update={"input_shape": self.config.input_shape or self.default_shape})
        parts = _parts()
        token, dim = self.config.token_size, self.config.embed_dim
        self.grid = _grid(self.config.input_shape or self.default_shape, token)
        self.encoder = nn.ModuleDict(
            {
                "down_projection": parts.PatchEmbed(token, self.config.in_channels, dim),
                "eva": parts.Eva(
                    embed_dim=dim,
                    depth=self.config.depth,
                    num_heads=self.config.heads,
                    ref_feat_shape=self.grid,
                    drop_path_rate=self.config.drop_path,
                    init_values=self.config.layer_scale,
                    scale_attn_inner=self.config.inner_norm,
                ),
            }
        )
        decoder = parts.PatchDecode(token, dim, self.config.decoder_channels)
        self.decoder = nn.ModuleDict({"up_projection": decoder})
        self.encoder["down_projection"].apply(parts.InitWeights_He(1e-2))
        self.decoder.apply(parts.InitWeights_He(1e-2))
        self.info = BackboneInfo(
            self.config.in_channels,
            (Level(dim, token),),
            self.config.decoder_channels,
            divisor=token,
            drops_tokens=True,
            positions={"encoder.eva.pos_embed": self.grid},
        )

    @classmethod
    def build(cls, options: Any, **context: Any) -> Self:
        """Make a network; ``patch_size`` of the *context* is the default of ``input_shape``.

        Raises:
            ConfigError: if the patch size is not a multiple of the token size.
        """
        if options.input_shape is None and context.get("patch_size"):
            values = {**options.model_dump(), "input_shape": tuple(context["patch_size"])}
            options = cls.Config.parse(values, f"backbone {cls.name}")
        return cls(options)

    def encode(self, image: Tensor, visible: Tensor | None = None) -> list[Tensor]:
        """Return the one level ``(B, embed_dim, D/8, H/8, W/8)`` of *image* ``(B, C, D, H, W)``.

        Args:
            image: the image.
            visible: int64 ``(B, n)``, positions in the flattened grid (D, H, W) of the tokens that the transformer
                sees. The others are dropped before it: they cost nothing, and are 0 in the level.
        """
        self.check_input(image)
        eva: Any = self.encoder["eva"]
        embedded: Tensor = self.encoder["down_projection"](image)
        grid = (embedded.shape[2], embedded.shape[3], embedded.shape[4])
        position, rotary = self._positions(eva, grid)
        x = embedded.flatten(2).transpose(1, 2) + position
        if visible is not None:
            x, rotary = _take(x, visible), rotary[visible].unsqueeze(1)
        x = eva.pos_drop(x)
        for block in eva.blocks:
            x = block(x, rope=rotary)
        x = eva.norm(x)
        if visible is not None:
            full = x.new_zeros(len(x), prod(grid), x.shape[2])
            x = full.scatter(1, visible.unsqueeze(2).expand_as(x), x)
        return [x.transpose(1, 2).unflatten(2, grid)]

    def forward(self, image: Tensor, dense: bool = False, visible: Tensor | None = None) -> Features:
        """Return the features of *image* ``(B, C, D, H, W)``, with the dense map if *dense*.

        ``pooled`` is the mean of the *visible* tokens, of all if it is None (see :meth:`encode`).
        """
        levels = self.encode(image, visible)
        pooled = levels[-1].mean(dim=(2, 3, 4))
        if visible is not None:
            pooled = pooled * (prod(levels[-1].shape[2:]) / visible.shape[1])
        return Features(levels, self.decode(levels) if dense else None, pooled)

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense map ``(B, decoder_channels, D, H, W)`` of *levels*."""
        dense: Tensor = self.decoder["up_projection"](levels[0])
        return dense

    def _positions(self, eva: Any, grid: Size) -> tuple[Tensor, Tensor]:
        """Learned and rotary position embeddings for *grid*, resized if it is not the one they were made for."""
        if not torch.compiler.is_exporting() and grid == self.grid:  # else an export would hold for this size alone
            return eva.pos_embed, eva.rope.get_embed()
        learned = eva.pos_embed.transpose(1, 2).unflatten(2, self.grid)
        learned = functional.interpolate(learned, size=grid, mode="trilinear", align_corners=False)
        rope = eva.rope
        rotary = type(rope)(rope.dim, in_pixels=False, feat_shape=grid, ref_feat_shape=self.grid).get_embed()
        return learned.flatten(2).transpose(1, 2), rotary.to(learned.device)


def _take(tokens: Tensor, visible: Tensor) -> Tensor:
    """The tokens ``(B, n, C)`` at the positions *visible* ``(B, n)`` of *tokens* ``(B, N, C)``."""
    return tokens.gather(1, visible.unsqueeze(2).expand(-1, -1, tokens.shape[2]))


def _parts() -> SimpleNamespace:
    """The building blocks. Imported late: they need timm, and timm needs a torchvision that fits torch."""
    try:
        from dynamic_network_architectures.building_blocks.eva import Eva
        from dynamic_network_architectures.building_blocks.patch_encode_decode import PatchDecode, PatchEmbed
        from dynamic_network_architectures.initialization.weight_init import InitWeights_He
    except Exception as error:  # a torchvision built for another torch raises RuntimeError
        reason = in_one_line(error)
        raise PluginError(
            f"primus needs timm, which cannot be imported ({type(error).__name__}: {reason}):"
            " install torch and torchvision from the same index"
        ) from error
    return SimpleNamespace(Eva=Eva, PatchDecode=PatchDecode, PatchEmbed=PatchEmbed, InitWeights_He=InitWeights_He)


def _grid(shape: Size, token: Size) -> Size:
    depth, height, width = (n // edge for n, edge in zip(shape, token, strict=True))
    return depth, height, width


class PrimusS(Primus):
    """Primus-S, a transformer on 8x8x8 tokens: 12 blocks of 396 channels."""

    name = "primus_s"
    Config = PrimusConfig


class PrimusB(Primus):
    """Primus-B, a transformer on 8x8x8 tokens: 12 blocks of 792 channels."""

    name = "primus_b"

    class Config(PrimusConfig):
        """Options."""

        embed_dim: Count = Field(792, description="channels of a token; a multiple of 6 times 'heads'")
        heads: Count = Field(12, description="attention heads")


class PrimusM(Primus):
    """Primus-M, a transformer on 8x8x8 tokens: 16 blocks of 864 channels."""

    name = "primus_m"

    class Config(PrimusConfig):
        """Options."""

        embed_dim: Count = Field(864, description="channels of a token; a multiple of 6 times 'heads'")
        depth: Count = Field(16, description="transformer blocks")
        heads: Count = Field(12, description="attention heads")


class PrimusL(Primus):
    """Primus-L, a transformer on 8x8x8 tokens: 24 blocks of 1056 channels."""

    name = "primus_l"

    class Config(PrimusConfig):
        """Options."""

        embed_dim: Count = Field(1056, description="channels of a token; a multiple of 6 times 'heads'")
        depth: Count = Field(24, description="transformer blocks")
        heads: Count = Field(16, description="attention heads")
