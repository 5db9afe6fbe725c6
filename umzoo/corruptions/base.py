"""What every corruption offers: draw parameters per item, then apply them, purely."""

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
    """Alters a batch of images in [0, 1], on the device it lies on.

    ``draw`` records per-item parameters as tensors whose first axis is the batch; ``apply`` uses nothing else,
    so a batch can be corrupted again from the record. ``alters_target`` marks augmentations (flips) that are
    applied to the clean target as well.
    """

    kind: ClassVar[str] = "corruption"
    alters_target: bool = False

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def build(cls, options: Any, **context: Any) -> Self:
        """Make an instance, and warn when it would never do anything (``p = 0``)."""
        if getattr(options, "p", None) == 0:
            log.warning("corruption '%s' has p = 0 and will leave every image as it is", cls.name)
        return super().build(options, **context)

    @abstractmethod
    def draw(self, image: Tensor, rng: Rng) -> Fields:
        """Return parameters for each item of *image* ``(B, C, D, H, W)``."""

    @abstractmethod
    def apply(self, image: Tensor, params: Fields) -> Tensor:
        """Return a corrupted copy of *image* ``(B, C, D, H, W)``; *image* itself is left as it is."""

    def apply_item_(self, item: Tensor, params: Fields) -> None:
        """Corrupt one item ``(C, D, H, W)``, contiguous, in place; *params* are its own, without the batch axis.

        A pipeline on the CPU goes item by item, so that a patch stays in cache. There is no need to override
        this; :class:`umzoo.corruptions.itemwise.ItemwiseCorruption` helps where speed matters.
        """
        item.copy_(self.apply(item[None], {name: value[None] for name, value in params.items()})[0])
