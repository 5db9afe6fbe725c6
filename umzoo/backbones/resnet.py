"""The 3D ResNets of MedicalNet (Chen et al., Med3D, arXiv 1904.00625), with the parameter names of its checkpoints.

``encoder.layer1.*`` and ``decoder.conv_seg.*`` are ``layer1.*`` and ``conv_seg.*`` of the released files
(Tencent/MedicalNet, models/resnet.py). The third and fourth layer keep the resolution and dilate their kernels by 2
and 4, so that the coarsest level has stride 8; without dilation they halve it, as in other ResNets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from umzoo.backbones.base import Backbone, BackboneInfo, InputSpace, Level, Size
from umzoo.config import Config

DENSE_CHANNELS = 32
LAYERS = {True: ((1, 1, 1), (2, 2, 1), (4, 1, 2), (8, 1, 4)), False: ((1, 1, 1), (2, 2, 1), (4, 2, 1), (8, 2, 1))}
"""Factor on the width, stride and dilation of each layer, by whether they are dilated."""
Stride = Annotated[int, Field(ge=1, le=2)]
Odd = Annotated[int, Field(ge=1, le=15)]


class ResNetConfig(Config):
    """Options of ``resnet3d_*``."""

    in_channels: int = Field(1, ge=1, description="channels of the input")
    width: int = Field(64, ge=1, description="channels of the first convolution; 64 is the published network")
    shortcut: Literal["A", "B"] | None = Field(
        None,
        description="shortcut where channels change: 'A' pads with zeros, 'B' is a convolution; by default as in the"
        " released weights, A for 18 and 34 layers, else B",
    )
    dilated: bool = Field(
        True,
        description="whether the last two layers keep the resolution and dilate their kernels; false: they halve it",
    )
    stem_kernel: tuple[Odd, Odd, Odd] = Field((7, 7, 7), description="kernel (D, H, W) of the first convolution; odd")
    stem_stride: tuple[Stride, Stride, Stride] = Field((2, 2, 2), description="its stride (D, H, W)")
    input_space: InputSpace = Field("zscore", description="what it expects: [0, 1], or zero mean and unit variance")

    @field_validator("stem_kernel")
    @classmethod
    def _odd(cls, kernel: tuple[int, int, int]) -> tuple[int, int, int]:
        if any(edge % 2 == 0 for edge in kernel):
            raise ValueError(f"stem_kernel must be odd, got {kernel}")
        return kernel


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
    """Five levels, of strides 2, 4, 8, 8, 8 if dilated; dense features are made at twice the coarsest and enlarged."""

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
        kernel, total = self.config.stem_kernel, self.config.stem_stride
        stem = nn.Conv3d(channels, width, kernel, total, tuple(edge // 2 for edge in kernel), bias=False)
        self.encoder = nn.ModuleDict({"conv1": stem, "bn1": nn.BatchNorm3d(width)})
        inputs, levels = width, [Level(width, total)]
        total = _times(total, 2)  # by pooling
        for number, (factor, stride, dilation) in enumerate(LAYERS[self.config.dilated], start=1):
            count = self.blocks[number - 1]
            self.encoder[f"layer{number}"] = self._layer(inputs, width * factor, count, stride, dilation)
            inputs, total = width * factor * (4 if self.bottleneck else 1), _times(total, stride)
            levels.append(Level(inputs, total))
        self.decoder = nn.ModuleDict({"conv_seg": _decoder(inputs)})
        self.apply(_initialize)
        self.info = BackboneInfo(
            channels,
            tuple(levels),
            DENSE_CHANNELS,
            input_space=self.config.input_space,
            divisor=total,
            least_voxels=2,
        )

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
        """Return five levels of *image* ``(B, C, D, H, W)``, of the strides in ``info``."""
        self.check_input(image)
        levels = [functional.relu(self.encoder["bn1"](self.encoder["conv1"](image)))]
        x = functional.max_pool3d(levels[0], 3, stride=2, padding=1)
        for number in range(1, len(self.blocks) + 1):
            x = self.encoder[f"layer{number}"](x)
            levels.append(x)
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, 32, D, H, W)`` of the coarsest of *levels*."""
        coarse = self.decoder["conv_seg"](levels[-1])
        scale = tuple(stride / 2 for stride in self.info.levels[-1].stride)
        dense: Tensor = functional.interpolate(coarse, scale_factor=scale, mode="trilinear", align_corners=False)
        return dense


def _times(stride: Size, factor: int) -> Size:
    return stride[0] * factor, stride[1] * factor, stride[2] * factor


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
