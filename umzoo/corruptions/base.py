"""What every corruption offers: draw parameters per item, then apply them, purely."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from umzoo.fields import Fields, Rng
from umzoo.registry import Component


class Corruption(Component):
    """Alters a batch of images in [0, 1], on the device it lies on.

    ``draw`` records per-item parameters as tensors whose first axis is the batch; ``apply`` uses nothing else,
    so a batch can be corrupted again from the record. ``alters_target`` marks augmentations (flips) that are
    applied to the clean target as well.
    """

    alters_target: bool = False

    @abstractmethod
    def draw(self, image: Tensor, rng: Rng) -> Fields:
        """Return parameters for each item of *image* ``(B, C, D, H, W)``."""

    @abstractmethod
    def apply(self, image: Tensor, params: Fields) -> Tensor:
        """Return a corrupted copy of *image* ``(B, C, D, H, W)``; *image* itself is left as it is."""
