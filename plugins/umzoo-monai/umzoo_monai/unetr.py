"""UNETR (Hatamizadeh et al., WACV 2022), built by MONAI, with its names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

import umzoo
from umzoo.backbones.base import BackboneInfo, Level, Size
from umzoo.backbones.positions import positions_for
from umzoo_monai.optional import get_monai

Count = Annotated[int, Field(ge=1)]
TOKEN = 16
SKIPS = {"encoder2": 3, "encoder3": 6, "encoder4": 9}
"""Convolution blocks, and the index of the transformer block whose output is their input."""
VIT = "encoder.vit.patch_embedding"
UPS = ("decoder5", "decoder4", "decoder3", "decoder2")


class UNETRConfig(umzoo.Config):
    """Options of ``unetr``, with MONAI's names."""

    in_channels: Count = Field(1, description="channels of the input")
    img_size: tuple[Count, Count, Count] | None = Field(
        None,
        description="voxels (D, H, W) for which the position embedding is made, multiples of 16; by default the patch"
        " size of the recipe, or 96 along each axis; it is resized for other sizes",
    )
    feature_size: Count = Field(16, description="channels of the finest level")
    hidden_size: Count = Field(768, description="channels of a token; a multiple of num_heads")
    mlp_dim: Count = Field(3072, description="hidden channels of a block's MLP")
    num_heads: Count = Field(12, description="attention heads")
    qkv_bias: bool = Field(False, description="bias of queries, keys and values")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size must be a multiple of num_heads = {self.num_heads}, got {self.hidden_size}")
        if any(n % TOKEN for n in self.img_size or ()):
            raise ValueError(f"img_size must be multiples of {TOKEN}, got {self.img_size}")
        return self


class UNETR(umzoo.Backbone):
    """MONAI's UNETR without its last convolution: five levels of strides 1 to 16. Input is in [0, 1]."""

    name = "unetr"
    Config = UNETRConfig
    libraries = ("monai",)
    image_kernels = (
        f"{VIT}.patch_embeddings.weight",
        *(f"encoder.encoder1.layer.{conv}.conv.weight" for conv in ("conv1", "conv3")),
    )
    default_size: ClassVar[Size] = (96, 96, 96)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.config = self.config.model_copy(update={"img_size": self.config.img_size or self.default_size})
        whole = get_monai("monai.networks.nets.unetr").UNETR(out_channels=1, **self.config.model_dump())
        _drop_cross_attention(whole.vit)
        self.encoder = nn.ModuleDict({name: getattr(whole, name) for name in ("vit", "encoder1", *SKIPS)})
        self.decoder = nn.ModuleDict({name: getattr(whole, name) for name in UPS})
        size, hidden = self.config.feature_size, self.config.hidden_size
        widths = (size, 2 * size, 4 * size, 8 * size, hidden)
        self.info = BackboneInfo(
            self.config.in_channels,
            tuple(Level(width, (2**i, 2**i, 2**i)) for i, width in enumerate(widths)),
            size,
            input_space="unit",
            divisor=(TOKEN, TOKEN, TOKEN),
            positions={f"{VIT}.position_embeddings": self._made_for},
        )

    @classmethod
    def build(cls, options: Any, **context: Any) -> Self:
        """Build a network; ``patch_size`` in *context* is the default of ``img_size``.

        Raises:
            ConfigError: if the patch size is not a multiple of 16.
        """
        if options.img_size is None and context.get("patch_size"):
            values = {**options.model_dump(), "img_size": tuple(context["patch_size"])}
            options = cls.Config.parse(values, f"backbone {cls.name}")
        return cls(options)

    @classmethod
    def contract_names(cls, names: Sequence[str]) -> dict[str, str]:
        """Map tensor names of MONAI's ``UNETR`` to ours."""
        if not {"vit.patch_embedding.position_embeddings", "encoder1.layer.conv1.conv.weight"} <= set(names):
            return {}
        parts = {**dict.fromkeys(("vit", "encoder1", *SKIPS), "encoder"), **dict.fromkeys(UPS, "decoder")}
        places = {name: parts.get(name.partition(".")[0]) for name in names if "cross_attn" not in name}
        return {name: f"{part}.{name}" for name, part in places.items() if part}

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return five levels of *image* ``(B, C, D, H, W)``, strides 1, 2, 4, 8 and 16."""
        self.check_input(image)
        vit: Any = self.encoder["vit"]
        tokens: Tensor = vit.patch_embedding.patch_embeddings(image)
        grid = (tokens.shape[2], tokens.shape[3], tokens.shape[4])
        positions = positions_for(grid, vit.patch_embedding.position_embeddings, self._made_for)
        x = vit.patch_embedding.dropout(tokens.flatten(2).transpose(1, 2) + positions)
        hidden = []
        for block in vit.blocks:
            x = block(x)
            hidden.append(x)
        skips = [self.encoder[name](_volume(hidden[number], grid)) for name, number in SKIPS.items()]
        return [self.encoder["encoder1"](image), *skips, _volume(vit.norm(x), grid)]

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, feature_size, D, H, W)`` of *levels*."""
        x = levels[-1]
        for name, skip in zip(UPS, reversed(levels[:-1]), strict=True):
            x = self.decoder[name](x, skip)
        return x

    @property
    def _made_for(self) -> Size:
        """Grid of tokens (D, H, W) of the position embedding."""
        depth, height, width = (n // TOKEN for n in self.config.img_size)
        return depth, height, width


def _drop_cross_attention(vit: nn.Module) -> None:
    """Remove MONAI's unused cross-attention layers; DDP would wait for their gradients."""
    for module in list(vit.modules()):
        if getattr(module, "with_cross_attention", True):
            continue
        for name in ("norm_cross_attn", "cross_attn"):
            if hasattr(module, name):
                delattr(module, name)


def _volume(tokens: Tensor, grid: Size) -> Tensor:
    """Reshape ``(B, N, C)`` to ``(B, C, D, H, W)``."""
    return tokens.transpose(1, 2).unflatten(2, grid).contiguous()
