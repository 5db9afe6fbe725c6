"""Options of embedding."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from umzoo.config import Config
from umzoo.data.loading.config import Size


class EmbedConfig(Config):
    """Options of embedding: regions, feature levels, pooling and windows."""

    per: Literal["scan", "window", "roi"] = Field(
        "scan", description="region of one vector: a scan, a window, or a label of a mask"
    )
    levels: tuple[int, ...] = Field(
        (-1,), min_length=1, description="feature levels, from 0 (finest) to -1 (coarsest); several are concatenated"
    )
    pooling: Literal["mean", "max", "mean+max"] = Field(
        "mean", description="pooling of a level over its voxels, to one number per channel"
    )
    patch_size: Size | None = Field(
        None,
        description="window in voxels (D, H, W); by default that of the weights, at most the size of the scan",
    )
    overlap: float = Field(0.0, ge=0, lt=1, description="minimum overlap of neighboring windows, as a fraction")
    batch_size: int = Field(1, ge=1, description="windows per forward pass")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="precision of the forward pass")
