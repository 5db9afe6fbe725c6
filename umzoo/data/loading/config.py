"""Options of sampling and loading: the recipe's ``[data]`` table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from umzoo.config import Config

Size = tuple[Annotated[int, Field(ge=4)], Annotated[int, Field(ge=4)], Annotated[int, Field(ge=4)]]


class DataConfig(Config):
    """How crops are sampled from the store, and how batches are loaded."""

    patch_size: Size = Field((64, 64, 64), description="size of the network's input, in voxels (D, H, W)")
    batch_size: int = Field(2, ge=1, description="patches per forward pass of a process")
    scales: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.5, 1.0, 2.0), min_length=1, description="crop edges relative to the patch; the index is the scale label"
    )
    matched: float = Field(0.5, ge=0, le=1, description="fraction of crops that are made equally sharp at every scale")
    ask: Literal["matched", "all"] = Field(
        "matched",
        description="crops used for scale prediction: only those made equally sharp, or all, whose scale can then be"
        " inferred from resampling blur",
    )
    temperature: float = Field(
        0.5, ge=0, le=1, description="sampling over modalities and sources: 1 is by number of volumes, 0 is uniform"
    )
    foreground: float = Field(0.8, ge=0, le=1, description="fraction of crops centered on a foreground voxel")
    workers: int = Field(
        2, ge=0, description="reader processes per training process; 0 reads crops in the training process"
    )
    slots: int = Field(4, ge=2, description="batches prefetched into shared memory")
