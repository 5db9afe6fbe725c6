"""The 3D ResNets of MedicalNet (Chen et al., Med3D, arXiv 1904.00625), with the parameter names of its checkpoints.

``encoder.layer1.*`` and ``decoder.conv_seg.*`` are ``layer1.*`` and ``conv_seg.*`` of the released files
(Tencent/MedicalNet, models/resnet.py). The third and fourth layer keep the resolution and dilate their kernels by 2
and 4, so that the coarsest level has stride 8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from umzoo.backbones.base import Backbone, BackboneInfo, Level
from umzoo.config import Config

DENSE_CHANNELS = 32
LAYERS = ((1, 1, 1), (2, 2, 1), (4, 1, 2), (8, 1, 4))
"""Factor on the width, stride and dilation of each layer."""


class ResNetConfig(Config):
    """Options of ``resnet3d_*``."""

    in_channels: int = Field(1, ge=1, description="channels of the input")
    width: int = Field(64, ge=1, description="channels of the first convolution; 64 is the published network")
    shortcut: Literal["A", "B"] | None = Field(
        None,
        description="shortcut where channels change: 'A' pads with zeros, 'B' is a convolution; by default as in the"
        " released weights, A for 18 and 34 layers, else B",
    )


class Block(nn.Module):
    """Residual block: two 3x3x3 convolutions, or a bottleneck of 1x1x1, 3x3x3 and 1x1x1."""

    def __init__(self, inputs: int, planes: int, stride: int, dilation: int, bottleneck: bool, shortcut: str) -> None:
        super().__init__()
        outputs = planes * (4 if bottleneck else 1)
        wide: dict[str, Any] = {"padding": dilation, "dilation": dilation, "bias": False}
        if bottleneck:
            self.conv1 = nn.Conv3d(inputs, planes, 1, bias=False)
            self.conv2 = nn.Conv3d(planes, planes, 3, stride=stride, **wide)
            self.conv3 = nn.Conv3d(planes, outputs, 1, bias=False)
            self.bn3 = nn.BatchNorm3d(outputs)
        else:
            self.conv1 = nn.Conv3d(inputs, planes, 3, stride=stride, **wide)
            self.conv2 = nn.Conv3d(planes, planes, 3, **wide)
        self.bn1, self.bn2 = nn.BatchNorm3d(planes), nn.BatchNorm3d(planes)
        self.stride, self.bottleneck, self.missing = stride, bottleneck, outputs - inputs
        self.downsample: nn.Module | None = None
        if shortcut == "B" and (stride != 1 or inputs != outputs):
            convolution = nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm3d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in, D, H, W)`` to ``(B, out, D/stride, H/stride, W/stride)``."""
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            out = self.bn3(self.conv3(functional.relu(out)))
        return functional.relu(out + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.downsample is not None:
            short: Tensor = self.downsample(x)
            return short
        s = self.stride
        return functional.pad(x[:, :, ::s, ::s, ::s], (0, 0, 0, 0, 0, 0, 0, self.missing))


class ResNet3D(Backbone):
    """Five levels of strides 2, 4, 8, 8, 8; dense features are computed at stride 4 and upsampled trilinearly."""

    Config = ResNetConfig
    image_kernels = ("encoder.conv1.weight",)
    libraries: ClassVar[tuple[str, ...]] = ("monai",)
    blocks: ClassVar[tuple[int, int, int, int]]
    bottleneck: ClassVar[bool] = True
    released_shortcut: ClassVar[Literal["A", "B"]] = "B"

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        shortcut = self.config.shortcut or self.released_shortcut
        self.config = self.config.model_copy(update={"shortcut": shortcut})
        width, channels = self.config.width, self.config.in_channels
        self.encoder = nn.ModuleDict(
            {"conv1": nn.Conv3d(channels, width, 7, stride=2, padding=3, bias=False), "bn1": nn.BatchNorm3d(width)}
        )
        inputs, levels = width, [Level(width, (2, 2, 2))]
        for number, (factor, stride, dilation) in enumerate(LAYERS, start=1):
            layer = self._layer(inputs, width * factor, self.blocks[number - 1], stride, dilation)
            inputs, total = width * factor * (4 if self.bottleneck else 1), 4 if number == 1 else 8
            self.encoder[f"layer{number}"] = layer
            levels.append(Level(inputs, (total, total, total)))
        self.decoder = nn.ModuleDict({"conv_seg": _decoder(inputs)})
        self.apply(_initialize)
        self.info = BackboneInfo(channels, tuple(levels), DENSE_CHANNELS, divisor=(8, 8, 8), least_voxels=2)

    @classmethod
    def contract_names(cls, names: Sequence[str]) -> dict[str, str]:
        """Map tensor names of MONAI's, timm's and torchvision's ResNets to ours, without the head ``fc``."""
        ours = {name: _plain_name(name) for name in names}
        if not {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer4.0.bn1.weight"} <= set(ours.values()):
            return {}
        parts = {"conv1": "encoder", "bn1": "encoder", "conv_seg": "decoder"}
        parts |= {f"layer{number}": "encoder" for number in (1, 2, 3, 4)}
        known = {name: (parts.get(plain.partition(".")[0]), plain) for name, plain in ours.items()}
        return {name: f"{part}.{plain}" for name, (part, plain) in known.items() if part}

    def _layer(self, inputs: int, planes: int, count: int, stride: int, dilation: int) -> nn.Sequential:
        outputs = planes * (4 if self.bottleneck else 1)
        rest = (self.bottleneck, self.config.shortcut)
        first = Block(inputs, planes, stride, dilation, *rest)
        return nn.Sequential(first, *(Block(outputs, planes, 1, dilation, *rest) for _ in range(count - 1)))

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return five levels of *image* ``(B, C, D, H, W)``, strides 2, 4, 8, 8 and 8."""
        self.check_input(image)
        levels = [functional.relu(self.encoder["bn1"](self.encoder["conv1"](image)))]
        x = functional.max_pool3d(levels[0], 3, stride=2, padding=1)
        for number in range(1, len(LAYERS) + 1):
            x = self.encoder[f"layer{number}"](x)
            levels.append(x)
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, 32, D, H, W)`` of the coarsest of *levels*."""
        coarse = self.decoder["conv_seg"](levels[-1])
        dense: Tensor = functional.interpolate(coarse, scale_factor=4.0, mode="trilinear", align_corners=False)
        return dense


def _plain_name(name: str) -> str:
    """Return *name* without the sequential containers of convolution and norm in torchvision's video ResNets."""
    name = re.sub(r"^stem\.0\.", "conv1.", re.sub(r"^stem\.1\.", "bn1.", name))
    name = re.sub(r"^(layer\d\.\d+\.)conv(\d)\.0\.(?=\w+$)", r"\1conv\2.", name)
    return re.sub(r"^(layer\d\.\d+\.)conv(\d)\.1\.(?=\w+$)", r"\1bn\2.", name)


def _decoder(inputs: int) -> nn.Sequential:
    """Return the layers of MedicalNet's decoder before its last 1x1x1 convolution."""
    return nn.Sequential(
        nn.ConvTranspose3d(inputs, DENSE_CHANNELS, 2, stride=2),
        nn.BatchNorm3d(DENSE_CHANNELS),
        nn.ReLU(),
        nn.Conv3d(DENSE_CHANNELS, DENSE_CHANNELS, 3, padding=1, bias=False),
        nn.BatchNorm3d(DENSE_CHANNELS),
        nn.ReLU(),
    )


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")


class ResNet3D10(ResNet3D):
    """MedicalNet's 3D ResNet with 10 layers."""

    name = "resnet3d_10"
    blocks, bottleneck = (1, 1, 1, 1), False


class ResNet3D18(ResNet3D):
    """MedicalNet's 3D ResNet with 18 layers."""

    name = "resnet3d_18"
    blocks, bottleneck, released_shortcut = (2, 2, 2, 2), False, "A"
    libraries = ("monai", "torchvision")


class ResNet3D34(ResNet3D):
    """MedicalNet's 3D ResNet with 34 layers."""

    name = "resnet3d_34"
    blocks, bottleneck, released_shortcut = (3, 4, 6, 3), False, "A"


class ResNet3D50(ResNet3D):
    """MedicalNet's 3D ResNet with 50 layers."""

    name = "resnet3d_50"
    blocks = (3, 4, 6, 3)


class ResNet3D101(ResNet3D):
    """MedicalNet's 3D ResNet with 101 layers."""

    name = "resnet3d_101"
    blocks = (3, 4, 23, 3)


class ResNet3D152(ResNet3D):
    """MedicalNet's 3D ResNet with 152 layers."""

    name = "resnet3d_152"
    blocks = (3, 8, 36, 3)


class ResNet3D200(ResNet3D):
    """MedicalNet's 3D ResNet with 200 layers."""

    name = "resnet3d_200"
    blocks = (3, 24, 36, 3)


RESNETS = (ResNet3D10, ResNet3D18, ResNet3D34, ResNet3D50, ResNet3D101, ResNet3D152, ResNet3D200)
