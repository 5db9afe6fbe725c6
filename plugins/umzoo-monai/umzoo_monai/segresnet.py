"""Both versions of SegResNet (Myronenko, arXiv 1810.11654), built by MONAI, with its names."""

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
GROUPS = 8
FINAL = "conv_final.0"
"""The norm before the last convolution of the first version."""


class SegResNetConfig(umzoo.Config):
    """Options of ``segresnet``, with MONAI's names."""

    in_channels: Count = Field(1, description="channels of the input")
    init_filters: int = Field(16, ge=GROUPS, multiple_of=GROUPS, description="channels of the finest level")
    blocks_down: tuple[Count, ...] = Field((1, 2, 2, 4), min_length=2, description="residual blocks of each level")
    blocks_up: tuple[Count, ...] = Field(
        (1, 1, 1), min_length=1, description="residual blocks of each decoder level, coarse to fine"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError(
                f"blocks_up needs {len(self.blocks_down) - 1} numbers, one less than blocks_down, got {self.blocks_up}"
            )
        return self


class SegResNetDSConfig(umzoo.Config):
    """Options of ``segresnet_ds``, with MONAI's names."""

    in_channels: Count = Field(1, description="channels of the input")
    init_filters: Count = Field(32, description="channels of the finest level")
    blocks_down: tuple[Count, ...] = Field((1, 2, 2, 4, 4), min_length=2, description="residual blocks of each level")
    norm: Literal["batch", "instance"] = Field("batch", description="norm of the blocks")


class SegResNet(umzoo.Backbone):
    """MONAI's ``SegResNet`` without its last convolution, as in SuPreM: levels of strides 1, 2, 4, ... in [0, 1]."""

    name = "segresnet"
    Config = SegResNetConfig
    libraries = ("monai",)
    image_kernels = ("encoder.convInit.conv.weight",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        whole = get_monai("monai.networks.nets.segresnet").SegResNet(**self.config.model_dump())
        self.encoder = nn.ModuleDict({"convInit": whole.convInit, "down_layers": whole.down_layers})
        final = nn.Sequential(whole.conv_final[0])
        self.decoder = nn.ModuleDict(
            {"up_samples": whole.up_samples, "up_layers": whole.up_layers, "conv_final": final}
        )
        self.info = _info(self.config.in_channels, self.config.init_filters, len(self.config.blocks_down))

    @classmethod
    def contract_names(cls, names: Sequence[str]) -> dict[str, str]:
        """Map tensor names of MONAI's ``SegResNet`` to ours."""
        if "convInit.conv.weight" not in names:
            return {}
        kept = [name for name in names if not name.startswith("conv_final.") or name.startswith(f"{FINAL}.")]
        return {name: f"{_part(name, ('convInit', 'down_layers'))}.{name}" for name in kept}

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the levels of *image* ``(B, C, D, H, W)``, of strides 1, 2, 4, ..."""
        self.check_input(image)
        x = self.encoder["convInit"](image)
        levels = []
        for layer in self.encoder["down_layers"]:  # type: ignore[union-attr]
            x = layer(x)
            levels.append(x)
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, init_filters, D, H, W)`` of *levels*, after norm and ReLU."""
        x = levels[-1]
        ups = zip(self.decoder["up_samples"], self.decoder["up_layers"], strict=True)  # type: ignore[arg-type]
        for (up, blocks), skip in zip(ups, reversed(levels[:-1]), strict=True):
            x = blocks(up(x) + skip)
        return self.decoder["conv_final"](x).relu()  # type: ignore[no-any-return]


class SegResNetDS(umzoo.Backbone):
    """MONAI's ``SegResNetDS`` without its heads, as in CT-FM and Auto3DSeg: strides 1, 2, 4, ... in [0, 1]."""

    name = "segresnet_ds"
    Config = SegResNetDSConfig
    libraries = ("monai",)
    image_kernels = ("encoder.conv_init.weight",)

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        whole = get_monai("monai.networks.nets.segresnet_ds").SegResNetDS(**self.config.model_dump())
        self.encoder = whole.encoder
        for level in whole.up_layers:
            del level["head"]
        self.decoder = nn.ModuleDict({"up_layers": whole.up_layers})
        self.info = _info(self.config.in_channels, self.config.init_filters, len(self.config.blocks_down))

    @classmethod
    def contract_names(cls, names: Sequence[str]) -> dict[str, str]:
        """Map tensor names of MONAI's ``SegResNetDS``, or of only its ``SegResEncoder``, to ours."""
        if "conv_init.weight" in names:
            return {name: f"encoder.{name}" for name in names}
        if "encoder.conv_init.weight" not in names or not any(name.startswith("up_layers.") for name in names):
            return {}
        parts = {"encoder": "", "up_layers": "decoder."}
        known = [name for name in names if name.partition(".")[0] in parts and ".head." not in name]
        return {name: f"{parts[name.partition('.')[0]]}{name}" for name in known}

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the levels of *image* ``(B, C, D, H, W)``, of strides 1, 2, 4, ..."""
        self.check_input(image)
        levels: list[Tensor] = self.encoder(image)
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, init_filters, D, H, W)`` of *levels*."""
        x = levels[-1]
        ups: Any = self.decoder["up_layers"]
        for level, skip in zip(ups, reversed(levels[:-1]), strict=True):
            x = level["blocks"](level["upsample"](x) + skip)
        return x


def _info(in_channels: int, width: int, count: int) -> BackboneInfo:
    """Return the description of both networks: widths and strides double from level to level."""
    levels = tuple(Level(width * 2**n, (2**n,) * 3) for n in range(count))
    coarsest = 2 ** (count - 1)
    return BackboneInfo(in_channels, levels, width, input_space="unit", divisor=(coarsest,) * 3)


def _part(name: str, encoder: Sequence[str]) -> str:
    return "encoder" if name.partition(".")[0] in encoder else "decoder"
