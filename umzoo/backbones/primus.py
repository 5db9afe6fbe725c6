"""Primus (Wald et al., arXiv 2503.01835): an EVA-02 transformer on 8x8x8 tokens, through dynamic_network_architectures.

``encoder.*`` and ``decoder.*`` hold ``down_projection``, ``eva`` and ``up_projection`` with the names of nnU-Net's
Primus. Tokens are in the order of the axes (D, H, W).
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from umzoo.backbones.base import BackboneInfo, Level, Size
from umzoo.backbones.positions import positions_for
from umzoo.backbones.tokens import TokenBackbone, Tokens, building_blocks, take
from umzoo.config import Config, Count

Edge = Annotated[int, Field(ge=2)]


class PrimusConfig(Config):
    """Options of ``primus_*``."""

    in_channels: Count = Field(1, description="channels of the input")
    input_shape: tuple[Count, Count, Count] | None = Field(
        None,
        description="voxels (D, H, W) for which the position embedding is made, by default the recipe's patch size, or"
        " 96 along each axis; it is resized for other sizes",
    )
    token_size: tuple[Edge, Edge, Edge] = Field((8, 8, 8), description="voxels (D, H, W) of one token; powers of 2")
    embed_dim: Count = Field(396, description="channels of a token; a multiple of 6 times 'heads'")
    depth: Count = Field(12, description="transformer blocks")
    heads: Count = Field(6, description="attention heads")
    decoder_channels: Count = Field(32, description="channels of the dense features")
    drop_path: float = Field(0.0, ge=0, lt=1, description="rate of stochastic depth")
    layer_scale: float | None = Field(
        0.1, gt=0, description="initial layer scale of each block's branches, as in nnU-Net's presets; None: no scaling"
    )
    inner_norm: bool = Field(True, description="normalize inside attention, as in nnU-Net's presets")

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


class Primus(TokenBackbone):
    """One level of features at the stride of the tokens, and a light decoder of transposed convolutions."""

    image_kernels = ("encoder.down_projection.proj.weight",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        parts = building_blocks(self.name)
        token, dim = self.config.token_size, self.config.embed_dim
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
        self.encoder["down_projection"].apply(parts.He(1e-2))
        self.decoder.apply(parts.He(1e-2))
        self.info = BackboneInfo(
            self.config.in_channels,
            (Level(dim, token),),
            self.config.decoder_channels,
            divisor=token,
            drops_tokens=True,
            positions={"encoder.eva.pos_embed": self.grid},
        )

    def tokens(self, image: Tensor, visible: Tensor | None = None) -> Tokens:
        """Return the tokens of *image* ``(B, C, D, H, W)``, of all or those that are *visible*."""
        self.check_input(image)
        eva: Any = self.encoder["eva"]
        embedded: Tensor = self.encoder["down_projection"](image)
        grid = (embedded.shape[2], embedded.shape[3], embedded.shape[4])
        x = embedded.flatten(2).transpose(1, 2) + positions_for(grid, eva.pos_embed, self.grid)
        rotary = self._rotary(eva, grid)
        if visible is not None:
            x, rotary = take(x, visible), rotary[visible].unsqueeze(1)
        x = eva.pos_drop(x)
        for block in eva.blocks:
            x = block(x, rope=rotary)
        x = eva.norm(x)
        return Tokens(x, grid, x.mean(dim=1))

    def _rotary(self, eva: Any, grid: Size) -> Tensor:
        """The rotary position embedding for *grid*, stretched if it is not the one it was made for."""
        rope = eva.rope
        if not torch.compiler.is_exporting() and grid == self.grid:
            made: Tensor = rope.get_embed()
            return made
        stretched = type(rope)(rope.dim, in_pixels=False, feat_shape=grid, ref_feat_shape=self.grid).get_embed()
        return stretched.to(eva.pos_embed.device)  # type: ignore[no-any-return]


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
