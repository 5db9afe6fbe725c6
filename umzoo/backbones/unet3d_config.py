"""Options of the 3D U-Net with pooling."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from umzoo.backbones.base import InputSpace
from umzoo.config import Config, Count


class UNet3DConfig(Config):
    """Options of ``unet3d``; the defaults are those of AMAES, but for the width."""

    in_channels: Count = Field(1, description="channels of the input")
    features_per_stage: tuple[Count, ...] = Field(
        (32, 64, 128, 256, 512), min_length=2, description="channels of each stage, fine to coarse"
    )
    n_conv_per_stage: Count | tuple[Count, ...] = Field(
        2, description="convolutions of each encoder stage, or one number for all"
    )
    n_conv_per_stage_decoder: Count | tuple[Count, ...] = Field(
        2, description="convolutions of each decoder stage, deepest first, or one number for all"
    )
    out_channels: Count | None = Field(
        None, description="channels of a last convolution without norm and activation; None: there is none"
    )
    norm: Literal["instance", "batch"] = Field("instance", description="normalization layer")
    norm_affine: bool = Field(True, description="whether norms have a weight and a bias")
    norm_eps: float = Field(1e-5, gt=0, description="added to the variance in norms")
    negative_slope: float = Field(0.01, ge=0, lt=1, description="slope of the leaky ReLU below 0; 0 is a ReLU")
    conv_bias: bool = Field(True, description="whether convolutions have a bias")
    padding: Literal["zeros", "reflect"] = Field("zeros", description="what lies around the image for convolutions")
    pooling: Literal["max", "avg"] = Field("max", description="what leads to the next coarser stage")
    upsampling: Literal["transposed", "nearest", "trilinear"] = Field(
        "transposed", description="what leads to the next finer stage: a transposed convolution, or interpolation"
    )
    input_space: InputSpace = Field("zscore", description="what it expects: [0, 1], or zero mean and unit variance")

    @model_validator(mode="after")
    def _check(self) -> Self:
        stages = len(self.features_per_stage)
        for name, count in (("n_conv_per_stage", stages), ("n_conv_per_stage_decoder", stages - 1)):
            if isinstance(given := getattr(self, name), tuple) and len(given) != count:
                raise ValueError(f"{name} needs {count} numbers for {stages} stages, got {given}")
        return self

    def per_stage(self, name: str) -> tuple[int, ...]:
        """Return option *name*, a number or several, for each stage."""
        stages = len(self.features_per_stage) - name.endswith("_decoder")
        given: int | tuple[int, ...] = getattr(self, name)
        return (given,) * stages if isinstance(given, int) else given
