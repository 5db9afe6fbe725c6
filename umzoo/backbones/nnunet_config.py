"""Options of nnU-Net's U-Nets with nnU-Net's names, so that they can be copied from a plans file."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from umzoo.config import Config, Count

Triple = tuple[Count, Count, Count]

MAX_FEATURES = 320
BLOCKS = (1, 3, 4, 6)


class UNetConfig(Config):
    """Options of both U-Nets. The value None is derived from the number of stages."""

    default_stages: ClassVar[int] = 6

    in_channels: Count = Field(1, description="channels of the input")
    n_stages: Annotated[int, Field(ge=2, le=10)] | None = Field(
        None, description="resolution stages; by default the length of 'features_per_stage', or the preset's number"
    )
    features_per_stage: tuple[Count, ...] | None = Field(
        None, description="channels of each stage; by default 32, 64, 128, 256, 320, 320, ..."
    )
    kernel_sizes: Count | tuple[Count | Triple, ...] = Field(
        3, description="kernel (D, H, W) of each stage, or one number for all; odd"
    )
    strides: tuple[Count | Triple, ...] | None = Field(
        None, description="stride (D, H, W) of each stage, the first is 1; by default 1, 2, 2, ..."
    )
    n_conv_per_stage_decoder: Count | tuple[Count, ...] = Field(
        1, description="convolutions of each decoder stage, deepest first, or one number for all"
    )
    norm: Literal["instance", "batch"] = Field("instance", description="normalization layer")

    def resolved(self) -> Self:
        """Return the same options with one entry per stage.

        Raises:
            ValueError: if the number of entries of an option differs from the number of stages.
        """
        stages = self.n_stages or len(self.features_per_stage or ()) or self.default_stages
        features = self.features_per_stage or tuple(min(32 * 2**s, MAX_FEATURES) for s in range(stages))
        strides = self.strides or (1, *(2,) * (stages - 1))
        return self.model_copy(
            update={
                "n_stages": stages,
                "features_per_stage": _entries("features_per_stage", features, stages),
                "kernel_sizes": tuple(map(_triple, _entries("kernel_sizes", self.kernel_sizes, stages))),
                "strides": tuple(map(_triple, _entries("strides", strides, stages))),
                "n_conv_per_stage_decoder": _entries(
                    "n_conv_per_stage_decoder", self.n_conv_per_stage_decoder, stages - 1
                ),
            }
        )

    @property
    def stage_features(self) -> tuple[int, ...]:
        """Channels of each stage."""
        return self.resolved().features_per_stage or ()

    @property
    def stage_strides(self) -> tuple[Triple, ...]:
        """Stride (D, H, W) of each stage."""
        return tuple(map(_triple, self.resolved().strides or ()))

    @model_validator(mode="after")
    def _check(self) -> Self:
        resolved: Any = self.resolved()
        if any(size % 2 == 0 for kernel in resolved.kernel_sizes for size in kernel):
            raise ValueError(f"kernel_sizes must be odd, got {resolved.kernel_sizes}")
        if resolved.strides[0] != (1, 1, 1):
            raise ValueError(f"the first of strides must be 1, got {resolved.strides[0]}")
        return self


class PlainConvConfig(UNetConfig):
    """Options of ``plainconv_unet``."""

    n_conv_per_stage: Count | tuple[Count, ...] = Field(
        2, description="convolutions of each encoder stage, or one number for all"
    )
    n_conv_per_stage_decoder: Count | tuple[Count, ...] = Field(
        2, description="convolutions of each decoder stage, deepest first, or one number for all"
    )

    def resolved(self) -> Self:
        """Return the same options with one entry per stage."""
        resolved = super().resolved()
        entries = _entries("n_conv_per_stage", self.n_conv_per_stage, resolved.n_stages or 0)
        return resolved.model_copy(update={"n_conv_per_stage": entries})


class ResEncConfig(UNetConfig):
    """Options of ``resenc_unet_*``."""

    n_blocks_per_stage: Count | tuple[Count, ...] | None = Field(
        None, description="residual blocks of each encoder stage, or one number for all; by default 1, 3, 4, 6, 6, ..."
    )

    def resolved(self) -> Self:
        """Return the same options with one entry per stage."""
        resolved = super().resolved()
        stages = resolved.n_stages or 0
        blocks = self.n_blocks_per_stage or (BLOCKS + BLOCKS[-1:] * stages)[:stages]
        return resolved.model_copy(update={"n_blocks_per_stage": _entries("n_blocks_per_stage", blocks, stages)})


def _entries(name: str, value: Any, count: int) -> tuple[Any, ...]:
    """Return *value* as a tuple of *count* entries."""
    entries = (value,) * count if isinstance(value, int) else tuple(value)
    if len(entries) != count:
        raise ValueError(f"{name} needs {count} entries for this number of stages, got {len(entries)}")
    return entries


def _triple(value: int | Triple) -> Triple:
    return (value, value, value) if isinstance(value, int) else value
