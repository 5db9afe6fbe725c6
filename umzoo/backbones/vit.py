"""The plain vision transformer (Dosovitskiy et al., ICLR 2021) on volumes, made of timm's blocks, under timm's names.

The position embedding is of the image's tokens alone: what others add to a class token is a constant, and part of the
token here. ``encoder.blocks.0.attn.qkv`` is ``blocks.0.attn.qkv`` of timm's and DINOv2's transformers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from umzoo.backbones.base import BackboneInfo, Level, Size
from umzoo.backbones.positions import positions_for, sincos_positions
from umzoo.backbones.tokens import TokenBackbone, Tokens, building_blocks, take
from umzoo.backbones.vit_config import ViTConfig
from umzoo.config import Count

MONAI_NAMES = (
    (r"^patch_embedding\.patch_embeddings\.", "patch_embed.proj."),
    (r"^patch_embedding\.position_embeddings$", "pos_embed"),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.linear(?=[12]\.)", ".mlp.fc"),
)
"""From the names of MONAI's ``ViT`` to timm's."""
MONAI_OTHERS = re.compile(r"classification_head\.|.*\.(norm_)?cross_attn\.")
"""MONAI's head, and layers that it makes and never runs."""


class Encoder(nn.Module):
    """The transformer, for a position embedding of *grid* tokens (D, H, W)."""

    cls_token: Tensor | None
    reg_token: Tensor | None
    pos_embed: Tensor | None

    def __init__(self, config: ViTConfig, grid: Size, parts: Any) -> None:
        super().__init__()
        self.config, self.grid, dim = config, grid, config.embed_dim
        self.patch_embed = parts.PatchEmbed(config.token_size, config.in_channels, dim)
        learned = prod(grid) if config.positions == "learned" else 0
        for name, count in (("cls_token", int(config.class_token)), ("reg_token", config.register_tokens)):
            self.register_parameter(name, _parameter(count, dim, 1e-6))
        self.register_parameter("pos_embed", _parameter(learned, dim, 0.02))
        norm = partial(nn.LayerNorm, eps=config.norm_eps)
        self.blocks = nn.ModuleList(
            parts.Block(
                dim,
                config.heads,
                config.mlp_ratio,
                config.qkv_bias,
                init_values=config.layer_scale,
                drop_path=config.drop_path * number / max(config.depth - 1, 1),
                norm_layer=norm,
            )
            for number in range(config.depth)
        )
        self.norm = norm(dim)
        self.blocks.apply(_initialize)

    def forward(self, image: Tensor, visible: Tensor | None = None) -> Tokens:
        """Return the tokens of *image* ``(B, C, D, H, W)``, of all or those at the positions *visible* ``(B, n)``."""
        embedded: Tensor = self.patch_embed(image)
        grid = (embedded.shape[2], embedded.shape[3], embedded.shape[4])
        x = embedded.flatten(2).transpose(1, 2) + self._positions(grid, embedded)
        if visible is not None:
            x = take(x, visible)
        beside = [it.expand(x.shape[0], -1, -1) for it in (self.cls_token, self.reg_token) if it is not None]
        x = torch.cat((*beside, x), dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        patches = x[:, int(self.config.class_token) + self.config.register_tokens :]
        return Tokens(patches, grid, x[:, 0] if self.config.pooled == "class" else patches.mean(dim=1))

    def _positions(self, grid: Size, like: Tensor) -> Tensor:
        if self.pos_embed is not None:
            return positions_for(grid, self.pos_embed, self.grid)
        return sincos_positions(grid, self.grid, self.config.embed_dim, like.device).to(like.dtype)


class VisionTransformer3D(TokenBackbone):
    """A plain transformer: one level of features at the stride of the tokens, and Primus' decoder."""

    image_kernels = ("encoder.patch_embed.proj.weight",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        parts = building_blocks(self.name)
        token, dim = self.config.token_size, self.config.embed_dim
        self.encoder = Encoder(self.config, self.grid, parts)
        decoder = parts.PatchDecode(token, dim, self.config.decoder_channels)
        self.decoder = nn.ModuleDict({"up_projection": decoder})
        self.decoder.apply(parts.He(1e-2))
        self.info = BackboneInfo(
            self.config.in_channels,
            (Level(dim, token),),
            self.config.decoder_channels,
            input_space=self.config.input_space,
            divisor=token,
            drops_tokens=True,
            positions={"encoder.pos_embed": self.grid} if self.config.positions == "learned" else {},
        )

    @classmethod
    def contract_names(cls, names: Sequence[str]) -> dict[str, str]:
        """Return the names here of the tensors of MONAI's ``ViT``."""
        if not {"patch_embedding.position_embeddings", "blocks.0.attn.out_proj.weight"} <= set(names):
            return {}
        return {name: f"encoder.{timm_name(name)}" for name in names if not MONAI_OTHERS.match(name)}

    def tokens(self, image: Tensor, visible: Tensor | None = None) -> Tokens:
        """Return the tokens of *image* ``(B, C, D, H, W)``, of all or those that are *visible*."""
        self.check_input(image)
        tokens: Tokens = self.encoder(image, visible)
        return tokens


def timm_name(name: str) -> str:
    """Return what timm calls tensor *name* of MONAI's ``ViT``."""
    for pattern, replacement in MONAI_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _parameter(count: int, dim: int, std: float) -> nn.Parameter | None:
    """*count* random tokens ``(1, count, dim)``; None of none."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(1, count, dim), std=std)) if count else None


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class VisionTransformer3DS(VisionTransformer3D):
    """The plain vision transformer ViT-S on 16x16x16 tokens: 12 blocks of 384 channels."""

    name = "vit3d_s"
    Config = ViTConfig


class VisionTransformer3DB(VisionTransformer3D):
    """The plain vision transformer ViT-B on 16x16x16 tokens: 12 blocks of 768 channels."""

    name = "vit3d_b"

    class Config(ViTConfig):
        """Options."""

        embed_dim: Count = Field(768, description="channels of a token; a multiple of 'heads'")
        heads: Count = Field(12, description="attention heads")


class VisionTransformer3DL(VisionTransformer3D):
    """The plain vision transformer ViT-L on 16x16x16 tokens: 24 blocks of 1024 channels."""

    name = "vit3d_l"

    class Config(ViTConfig):
        """Options."""

        embed_dim: Count = Field(1024, description="channels of a token; a multiple of 'heads'")
        depth: Count = Field(24, description="transformer blocks")
        heads: Count = Field(16, description="attention heads")
