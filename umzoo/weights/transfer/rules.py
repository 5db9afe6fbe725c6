"""What may be changed about weights so that they fit another network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from umzoo.config import Config

Part = Literal["encoder", "decoder"]
TokenOrder = Literal["dhw", "dwh", "hdw", "hwd", "wdh", "whd"]


class TransferRules(Config):
    """How weights are fitted to a network that differs from the one they were trained in."""

    minimum: float = Field(
        0.5, ge=0, le=1, description="least share of the target's encoder kernels (in values) that must be set"
    )
    parts: tuple[Part, ...] = Field(("encoder", "decoder"), min_length=1, description="parts that are transferred")
    channels: Literal["repeat", "mean", "zero"] = Field(
        "repeat",
        description="other input channels: 'repeat' takes the source's in turn, scaled so that repeated channels give"
        " the same response; 'mean' gives all the same kernel; 'zero' keeps the first ones and starts others at zero",
    )
    source_channels: tuple[str, ...] | None = Field(
        None, description="names of the source's input channels; with target_channels, channels are matched by name"
    )
    target_channels: tuple[str, ...] | None = Field(
        None, description="names of the target's input channels; those the source lacks start at zero"
    )
    kernels: Literal["sum", "crop"] = Field(
        "sum",
        description="smaller kernels: 'sum' adds the outer taps to the outermost one kept, which leaves the response"
        " to an input that is constant along the axis as it was; 'crop' drops them",
    )
    widths: Literal["fresh", "slice"] = Field(
        "fresh",
        description="other numbers of features: 'fresh' transfers no such tensor; 'slice' sets the first features"
        " (ResEnc and plain U-Nets only)",
    )
    axes: Literal["keep", "permute"] = Field(
        "keep",
        description="weights trained on another order of array axes: 'keep' warns, 'permute' turns their kernels",
    )
    source_grid: tuple[int, int, int] | None = Field(
        None, description="tokens (D, H, W) of the source's position embedding; None: as the weights record"
    )
    token_order: TokenOrder | None = Field(
        None, description="order in which the source's tokens run over the axes; None: as the weights record, or dhw"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.source_channels is None) != (self.target_channels is None):
            raise ValueError("source_channels and target_channels go together: give both or neither")
        for names in (self.source_channels or (), self.target_channels or ()):
            if len(set(names)) != len(names):
                raise ValueError(f"names of channels must differ, got {', '.join(names)}")
        if self.source_channels and not set(self.source_channels) & set(self.target_channels or ()):
            raise ValueError("source_channels and target_channels have no name in common")
        return self
