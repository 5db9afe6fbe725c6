"""Options of the plain vision transformer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from umzoo.backbones.base import InputSpace
from umzoo.config import Config, Count

Edge = Annotated[int, Field(ge=2)]


class ViTConfig(Config):
    """Options of ``vit3d_*``."""

    in_channels: Count = Field(1, description="channels of the input")
    input_shape: tuple[Count, Count, Count] | None = Field(
        None,
        description="voxels (D, H, W) the position embedding is made for; None: the recipe's patch size, or 96"
        " along each axis. Other sizes resize it",
    )
    token_size: tuple[Edge, Edge, Edge] = Field((16, 16, 16), description="voxels (D, H, W) of one token; powers of 2")
    embed_dim: Count = Field(384, description="channels of a token; a multiple of 'heads'")
    depth: Count = Field(12, description="transformer blocks")
    heads: Count = Field(6, description="attention heads")
    mlp_ratio: float = Field(4.0, gt=0, description="channels inside a block's perceptron, by those of a token")
    qkv_bias: bool = Field(True, description="bias of queries, keys and values")
    positions: Literal["learned", "sincos"] = Field(
        "learned", description="position embedding: learned, or fixed waves"
    )
    class_token: bool = Field(False, description="a token beside those of the image")
    register_tokens: int = Field(0, ge=0, description="more such tokens, of which nothing is read (Darcet et al.)")
    pooled: Literal["mean", "class"] = Field(
        "mean", description="the vector of an image: the mean of its tokens, or the class token"
    )
    layer_scale: float | None = Field(
        None, gt=0, description="initial scale of each block's branches; None: not scaled"
    )
    drop_path: float = Field(
        0.0, ge=0, lt=1, description="rate of stochastic depth, which rises to it from block to block"
    )
    norm_eps: float = Field(1e-6, gt=0, description="added to the variance in layer norms; MONAI's have 1e-5")
    decoder_channels: Count = Field(32, description="channels of the dense features")
    input_space: InputSpace = Field("zscore", description="what it expects: [0, 1], or zero mean and unit variance")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.embed_dim % self.heads:
            raise ValueError(f"embed_dim must be a multiple of heads = {self.heads}, got {self.embed_dim}")
        if any(edge & (edge - 1) for edge in self.token_size):
            raise ValueError(f"token_size must be powers of 2, got {self.token_size}")
        shape = self.input_shape or self.token_size
        if any(n % edge for n, edge in zip(shape, self.token_size, strict=True)):
            raise ValueError(f"input_shape must be a multiple of token_size {self.token_size}, got {shape}")
        if self.pooled == "class" and not self.class_token:
            raise ValueError("pooled = 'class' needs class_token = true")
        return self
