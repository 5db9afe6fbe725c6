"""Swin UNETR (Hatamizadeh et al., arXiv 2201.01266; Tang et al., CVPR 2022), built by MONAI, with its names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

import umzoo
from umzoo.backbones.base import BackboneInfo, Level
from umzoo_monai.optional import get_monai

Count = Annotated[int, Field(ge=1)]
Four = tuple[Count, Count, Count, Count]
SKIPS = ("encoder1", "encoder2", "encoder3", "encoder4", "encoder10")
PATCHES = "encoder.swinViT.patch_embed.proj.weight"
FIXED = "MONAI's attention windows and their masks are laid out by loops over the size"
UPS = ("decoder5", "decoder4", "decoder3", "decoder2", "decoder1")


class SwinConfig(umzoo.Config):
    """Options of ``swin_unetr`` and ``swin_vit``, with MONAI's names."""

    in_channels: Count = Field(1, description="channels of the input")
    feature_size: Count = Field(48, description="channels of the finest level; a multiple of 12 and of num_heads")
    depths: Four = Field((2, 2, 2, 2), description="transformer blocks of each stage")
    num_heads: Four = Field((3, 6, 12, 24), description="attention heads of each stage")
    window_size: Annotated[int, Field(ge=2)] = Field(7, description="tokens along each edge of an attention window")
    use_v2: bool = Field(False, description="a residual convolution block before each stage, as in VoCo's networks")
    downsample: Literal["merging", "mergingv2"] = Field(
        "merging", description="version of token merging; 'merging' is MONAI's first, which published weights need"
    )
    dropout_path_rate: float = Field(0.0, ge=0, lt=1, description="rate of stochastic depth")
    use_checkpoint: bool = Field(False, description="activation checkpointing, to save memory")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.feature_size % 12:
            raise ValueError(f"feature_size must be a multiple of 12, got {self.feature_size}")
        for stage, heads in enumerate(self.num_heads):
            if self.feature_size * 2**stage % heads:
                raise ValueError(f"{self.feature_size * 2**stage} channels are not a multiple of {heads} heads")
        return self


def _names(names: Sequence[str], encoder: Sequence[str], decoder: Sequence[str]) -> dict[str, str]:
    """Map *names* of MONAI's network to ours."""
    parts = {**dict.fromkeys(encoder, "encoder"), **dict.fromkeys(decoder, "decoder")}
    places = {name: parts.get(name.partition(".")[0]) for name in names}
    return {name: f"{part}.{name}" for name, part in places.items() if part}


class SwinUNETR(umzoo.Backbone):
    """MONAI's Swin UNETR without its last convolution: six levels of strides 1 to 32 and a U-Net decoder.

    The levels are the outputs of its convolution blocks for the image and the transformer's stages. Input is in [0, 1].
    """

    name = "swin_unetr"
    Config = SwinConfig
    libraries = ("monai",)
    image_kernels = (PATCHES, *(f"encoder.encoder1.layer.{conv}.conv.weight" for conv in ("conv1", "conv3")))
    fixed_export = FIXED

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        nets = get_monai("monai.networks.nets.swin_unetr")
        whole = nets.SwinUNETR(out_channels=1, **self.config.model_dump())
        self.encoder = nn.ModuleDict({name: getattr(whole, name) for name in ("swinViT", *SKIPS)})
        self.decoder = nn.ModuleDict({name: getattr(whole, name) for name in UPS})
        size = self.config.feature_size
        self.info = BackboneInfo(
            self.config.in_channels,
            tuple(Level(size * n, (s, s, s)) for n, s in zip((1, 1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32), strict=True)),
            size,
            input_space="unit",
            divisor=(32, 32, 32),
            least_voxels=2,
        )

    @classmethod
    def contract_names(cls, names: Sequence[str]) -> dict[str, str]:
        """Map tensor names of MONAI's ``SwinUNETR`` to ours."""
        if not {"swinViT.patch_embed.proj.weight", "encoder1.layer.conv1.conv.weight"} <= set(names):
            return {}
        return _names(names, ("swinViT", *SKIPS), UPS)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return six levels of *image* ``(B, C, D, H, W)``, strides 1, 2, 4, 8, 16 and 32."""
        self.check_input(image)
        stages = self.encoder["swinViT"](image, True)
        inputs = (image, *stages[:3], stages[4])
        *fine, coarse = [self.encoder[name](x) for name, x in zip(SKIPS, inputs, strict=True)]
        return [*fine, stages[3], coarse]

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, feature_size, D, H, W)`` of *levels*."""
        x = levels[-1]
        for name, skip in zip(UPS, reversed(levels[:-1]), strict=True):
            x = self.decoder[name](x, skip)
        return x


class SwinViT(umzoo.Backbone):
    """The transformer of Swin UNETR alone: five levels of strides 2 to 32, no decoder. Input is in [0, 1]."""

    name = "swin_vit"
    Config = SwinConfig
    libraries = ("monai",)
    image_kernels = (PATCHES,)
    fixed_export = FIXED

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        nets = get_monai("monai.networks.nets.swin_unetr")
        options = self.config.model_dump()
        transformer = nets.SwinTransformer(
            in_chans=options.pop("in_channels"),
            embed_dim=options.pop("feature_size"),
            window_size=(options.pop("window_size"),) * 3,
            patch_size=(2, 2, 2),
            drop_path_rate=options.pop("dropout_path_rate"),
            **options,
        )
        self.encoder = nn.ModuleDict({"swinViT": transformer})
        size = self.config.feature_size
        levels = tuple(Level(size * 2**i, (2 * 2**i,) * 3) for i in range(5))
        self.info = BackboneInfo(
            self.config.in_channels, levels, None, input_space="unit", divisor=(32, 32, 32), least_voxels=2
        )

    @classmethod
    def contract_names(cls, names: Sequence[str]) -> dict[str, str]:
        """Map tensor names of MONAI's ``SwinTransformer``, alone or as ``swinViT``, to ours."""
        if "patch_embed.proj.weight" in names and "layers4.0.blocks.0.norm1.weight" in names:
            return {name: f"encoder.swinViT.{name}" for name in names}
        return _names(names, ("swinViT",), ()) if "swinViT.patch_embed.proj.weight" in names else {}

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return five levels of *image* ``(B, C, D, H, W)``, strides 2, 4, 8, 16 and 32."""
        self.check_input(image)
        levels: list[Tensor] = self.encoder["swinViT"](image, True)
        return levels
