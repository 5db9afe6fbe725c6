"""Options of sampling and loading: the recipe's ``[data]`` table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from umzoo.config import Config

Size = tuple[Annotated[int, Field(ge=4)], Annotated[int, Field(ge=4)], Annotated[int, Field(ge=4)]]


class DataConfig(Config):
    """What is cut from the store, and how it is handed over."""

    patch_size: Size = Field((64, 64, 64), description="voxels (D, H, W) that the network sees")
    batch_size: int = Field(2, ge=1, description="patches per forward pass of a process")
    scales: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.5, 1.0, 2.0), min_length=1, description="edge of the crop over the patch; its index is the scale label"
    )
    matched: float = Field(
        0.5, ge=0, le=1, description="share of crops that are made equally sharp, whatever their scale"
    )
    ask: Literal["matched", "all"] = Field(
        "matched",
        description="crops asked for their scale: those made equally sharp, or all of them, whose scale can then be"
        " read from resampling blur",
    )
    temperature: float = Field(
        0.5, ge=0, le=1, description="balance over modalities and sources: 1 is by number of volumes, 0 is uniform"
    )
    foreground: float = Field(0.8, ge=0, le=1, description="share of crops centered in the foreground")
    workers: int = Field(2, ge=0, description="reader processes per training process; 0 reads in the training process")
    slots: int = Field(4, ge=2, description="batches that may wait in the shared ring")
