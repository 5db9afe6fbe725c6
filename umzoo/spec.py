"""Specifications: components of a recipe, and the input that a network expects."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import Self

from umzoo.config import Config


class ComponentSpec(Config):
    """``{name = "local_shuffle", p = 0.5}``: all keys except ``name`` are options of the component.

    Options are checked against the component's own ``Config`` when it is built.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(description="registered name")

    @property
    def options(self) -> dict[str, Any]:
        """The component's own options."""
        return dict(self.model_extra or {})


class TaskSpec(ComponentSpec):
    """A pretext task of a recipe."""

    weight: float = Field(1.0, ge=0, description="factor on the task's raw loss")
    as_: str | None = Field(None, alias="as", description="name in logs; required if a task is used twice")

    @property
    def label(self) -> str:
        """The name of the task in logs and checkpoints."""
        return self.as_ or self.name


class IntensityRule(Config):
    """Intensity normalization of one modality to [0, 1]: ``clip((v - low) / (high - low), 0, 1)``."""

    kind: Literal["window", "percentile"] = Field(description="fixed window, or percentiles of the foreground")
    window: tuple[float, float] | None = Field(None, description="lower and upper bound in physical units (HU for CT)")
    percentiles: tuple[float, float] | None = Field(None, description="lower and upper percentile, 0 to 100")


DEFAULT_RULES: dict[str, IntensityRule] = {
    "ct": IntensityRule(kind="window", window=(-1000.0, 1000.0)),
    "*": IntensityRule(kind="percentile", percentiles=(0.5, 99.5)),
}
"""CT: the window of Models Genesis. Other modalities: percentiles of the foreground."""


class InputSpec(Config):
    """The input that a network was trained on; it is saved with the weights.

    The rule of its modality maps an image to [0, 1]. Networks with ``space`` ``zscore`` then get
    ``(x - mean) / std`` with the mean and standard deviation of the whole volume in that [0, 1] space.
    """

    orientation: str = Field(
        "LPS", description="direction of increasing index along x, y, z; 'as stored': x, y, z are a file's own axes"
    )
    axes: str = Field("zyx", description="order of the array axes (D, H, W)")
    spacing: tuple[float, float, float] | None = Field(None, description="mm (D, H, W); None is native spacing")
    rules: dict[str, IntensityRule] = Field(DEFAULT_RULES, description="by modality; '*' is any other")
    space: Literal["unit", "zscore"] = Field("zscore", description="space of the network's input")
    in_channels: int = Field(1, ge=1, description="channels of the input")
    label_channels: int = Field(
        0, ge=0, description="number of last channels with one-hot labels, as in the second stage of a cascade"
    )
    patch_size: tuple[int, int, int] | None = Field(None, description="patch size in training, in voxels (D, H, W)")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.label_channels >= self.in_channels:
            raise ValueError(
                f"label_channels must be less than in_channels {self.in_channels}, got {self.label_channels}"
            )
        return self

    def rule(self, modality: str) -> IntensityRule:
        """The intensity rule for *modality*, or the default rule."""
        return self.rules.get(modality) or self.rules.get("*") or DEFAULT_RULES["*"]
