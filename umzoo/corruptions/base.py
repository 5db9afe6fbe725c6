"""Base class of corruptions, which draw random parameters per item and then apply them without further randomness."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor
from typing_extensions import Self

from umzoo.fields import Fields, Rng
from umzoo.registry import Component

log = logging.getLogger(__name__)


class Corruption(Component):
    """Corrupts a batch of images in [0, 1] on its device.

    ``draw`` returns parameters per item as tensors whose first axis is the batch. ``apply`` depends only on them, so a
    corruption can be reproduced. ``alters_target`` marks augmentations (flips) that also apply to the clean target.
    """

    kind: ClassVar[str] = "corruption"
    alters_target: bool = False

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def build(cls, options: Any, **context: Any) -> Self:
        """Make an instance, and warn if it has no effect (``p = 0``)."""
        if getattr(options, "p", None) == 0:
            log.warning("corruption '%s' has p = 0, so it has no effect", cls.name)
        return super().build(options, **context)

    @abstractmethod
    def draw(self, image: Tensor, rng: Rng) -> Fields:
        """Return parameters for each item of *image* ``(B, C, D, H, W)``."""

    @abstractmethod
    def apply(self, image: Tensor, params: Fields) -> Tensor:
        """Return a corrupted copy of *image* ``(B, C, D, H, W)``; *image* itself must not change."""

    def apply_item_(self, item: Tensor, params: Fields) -> None:
        """Corrupt one contiguous item ``(C, D, H, W)`` in place; *params* are those of the item, without batch axis.

        On the CPU, a pipeline processes item by item, so that a patch stays in cache. Overriding this method is
        optional; :class:`umzoo.corruptions.itemwise.ItemwiseCorruption` helps if speed matters.
        """
        item.copy_(self.apply(item[None], {name: value[None] for name, value in params.items()})[0])
