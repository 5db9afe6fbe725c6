"""Options that control how weights are adapted to another network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from umzoo.config import Config

Part = Literal["encoder", "decoder"]
TokenOrder = Literal["dhw", "dwh", "hdw", "hwd", "wdh", "whd"]


class TransferRules(Config):
    """How weights are adapted to a network that differs from the one in which they were trained."""

    minimum: float = Field(
        0.5, ge=0, le=1, description="minimum share of the target's encoder kernel values that must be set"
    )
    parts: tuple[Part, ...] = Field(("encoder", "decoder"), min_length=1, description="parts that are transferred")
    channels: Literal["repeat", "mean", "zero"] = Field(
        "repeat",
        description="for a different number of input channels: 'repeat' repeats the source's kernels, scaled so that"
        " repeated channels give the same response; 'mean' uses the mean kernel for all; 'zero' keeps the first"
        " kernels and sets others to zero",
    )
    source_channels: tuple[str, ...] | None = Field(
        None, description="names of the source's input channels; with target_channels, channels are matched by name"
    )
    target_channels: tuple[str, ...] | None = Field(
        None, description="names of the target's input channels; channels missing in the source start at zero"
    )
    kernels: Literal["sum", "crop"] = Field(
        "sum",
        description="for smaller target kernels: 'sum' adds the outer taps to the outermost kept tap, so the response"
        " to inputs that are constant along the axis is unchanged; 'crop' drops the outer taps",
    )
    widths: Literal["fresh", "slice"] = Field(
        "fresh",
        description="for a different number of features: 'fresh' does not transfer the tensor; 'slice' copies the"
        " first features (ResEnc and plain U-Nets only)",
    )
    axes: Literal["keep", "permute"] = Field(
        "keep",
        description="for weights trained with another order of array axes: 'keep' warns, 'permute' permutes the"
        " axes of their kernels",
    )
    source_grid: tuple[int, int, int] | None = Field(
        None, description="token grid (D, H, W) of the source's position embedding; None: as recorded in the weights"
    )
    token_order: TokenOrder | None = Field(
        None, description="axis order of the source's tokens; None: as recorded in the weights, or dhw"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.source_channels is None) != (self.target_channels is None):
            raise ValueError("source_channels and target_channels must be set together: give both or neither")
        for names in (self.source_channels or (), self.target_channels or ()):
            if len(set(names)) != len(names):
                raise ValueError(f"channel names must be unique, got {', '.join(names)}")
        if self.source_channels and not set(self.source_channels) & set(self.target_channels or ()):
            raise ValueError(
                "source_channels and target_channels have no name in common: give at least one shared name"
            )
        return self
