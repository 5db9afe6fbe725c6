"""Boxes in volumes with coordinates from -1 to 1 along W, H and D, and their crops."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from umzoo.errors import ConfigError
from umzoo.fields import Rng

Boxes = tuple[Tensor, Tensor]
"""Half edges and centers of one box per item, both ``(B, 3)``."""


def require_ascending(option: str, shares: tuple[float, float]) -> None:
    """Raise ConfigError if the minimum of the *shares* of *option* exceeds their maximum."""
    if shares[0] > shares[1]:
        raise ConfigError(f"{option} must be a minimum and a maximum, got {shares}: swap them")


def draw_boxes(count: int, shares: tuple[float, float], rng: Rng) -> Boxes:
    """Draw a random box in each of *count* volumes; its size relative to the volume is uniform in *shares*."""
    half = rng.uniform((count, 1), *shares).expand(-1, 3)
    return half, (1 - half) * rng.uniform((count, 3), -1, 1)


def cut(image: Tensor, half: Tensor, center: Tensor) -> Tensor:
    """Crop the box from each item of *image* ``(B, C, D, H, W)`` and resize it trilinearly to the image's size."""
    theta = torch.cat((torch.diag_embed(half), center.unsqueeze(2)), dim=2)
    grid = functional.affine_grid(theta, list(image.shape), align_corners=False)
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=False)
