"""Options of embedding."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from umzoo.config import Config
from umzoo.data.loading.config import Size


class EmbedConfig(Config):
    """What a vector stands for, and how it is made."""

    per: Literal["scan", "window", "roi"] = Field(
        "scan", description="one vector a scan, a window, or a label of a mask"
    )
    levels: tuple[int, ...] = Field(
        (-1,), min_length=1, description="levels of features, 0 the finest, -1 the coarsest; several are joined"
    )
    pooling: Literal["mean", "max", "mean+max"] = Field(
        "mean", description="how the cells of a level become one number a channel"
    )
    patch_size: Size | None = Field(
        None, description="window in voxels (D, H, W); default: that of the weights, smaller where the scan is"
    )
    overlap: float = Field(0.0, ge=0, lt=1, description="least share by which neighboring windows overlap")
    batch_size: int = Field(1, ge=1, description="windows a forward pass")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="precision of the forward pass")
