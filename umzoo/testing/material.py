"""Test material: a small network, a batch, and options for small versions of umzoo's networks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from umzoo.backbones.base import Backbone, BackboneInfo, Level, Size
from umzoo.data.store.targets import Target
from umzoo.errors import ConfigError, nearest
from umzoo.fields import Fields, Rng

PATCH: Size = (16, 16, 16)
ANISOTROPIC: Size = (8, 16, 24)
"""A patch (D, H, W) with three different edges."""
TARGETS = {"age": Target((), 60.0, 10.0), "finding": Target(("absent", "present"))}
"""Targets of test batches: a number, and one of two classes."""
SMALL_NETWORKS: dict[str, dict[str, Any]] = {
    "genesis_unet": {"width": 2},
    "unet3d": {"features_per_stage": (4, 6, 8)},
    "plainconv_unet": {"features_per_stage": (4, 6, 8)},
    "resenc_unet_s": {"features_per_stage": (4, 6, 8), "n_blocks_per_stage": 1},
    "primus_s": {"embed_dim": 36, "heads": 3, "depth": 2, "decoder_channels": 8},
    "vit3d_s": {"token_size": (8, 8, 8), "embed_dim": 24, "heads": 2, "depth": 2, "decoder_channels": 8},
}
"""Options of a network of each family that is small enough to be trained in a test."""


class TinyBackbone(Backbone):
    """Test network for tasks and heads, with two levels of four and eight channels."""

    name = "tiny"
    info = BackboneInfo(1, (Level(4, (1, 1, 1)), Level(8, (2, 2, 2))), decoder_channels=4, divisor=(2, 2, 2))

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.encoder = nn.ModuleList([nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 8, 2, stride=2)])
        self.decoder = nn.ConvTranspose3d(8, 4, 2, stride=2)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return both levels of *image* ``(B, 1, D, H, W)``."""
        fine = self.encoder[0](image).relu()
        return [fine, self.encoder[1](fine).relu()]

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return ``(B, 4, D, H, W)``."""
        dense: Tensor = levels[0] + self.decoder(levels[1])
        return dense


def training_batch(size: int | Size = 16, items: int = 4) -> Fields:
    """Return a batch with every field of a training batch; images ``(items, 1, D, H, W)`` in [0, 1].

    Args:
        size: D, H and W, or the edge of a cube.
        items: number of images.
    """
    rng = Rng(3)
    shape = (size, size, size) if isinstance(size, int) else size
    return {
        "image": rng.uniform((items, 1, *shape)),
        "mean": rng.uniform((items,), 0.3, 0.6),
        "std": rng.uniform((items,), 0.1, 0.3),
        "scale": torch.arange(items) % 3,
        "modality": torch.arange(items) % 2,
        "source": torch.zeros(items, dtype=torch.int64),
        "volume": torch.arange(items),
        "spacing": torch.ones(items, 3),
        "width": torch.zeros(items),
        "target.age": torch.tensor([50.0 + 5 * item if item % 4 else math.nan for item in range(items)]),
        "target.finding": torch.arange(items) % 3 - 1,
        "progress": torch.tensor(0.5),
        "step": torch.tensor(1),
        "scale_count": torch.tensor(float(items)),
        "modality_count": torch.tensor(float(items)),
    }


def small_network(name: str) -> dict[str, Any]:
    """Return the table ``backbone`` of a recipe for a network of :data:`SMALL_NETWORKS`.

    Raises:
        ConfigError: if there is no small version of *name*.
    """
    if name not in SMALL_NETWORKS:
        raise ConfigError(
            f"there is no small '{name}'{nearest(name, SMALL_NETWORKS)} (known: {', '.join(SMALL_NETWORKS)})"
        )
    return {"name": name, **SMALL_NETWORKS[name]}
