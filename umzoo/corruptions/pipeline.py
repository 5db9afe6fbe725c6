"""Sequences of corruptions, which return a corrupted image and its clean target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from umzoo.corruptions.base import Corruption
from umzoo.corruptions.itemwise import unbind
from umzoo.errors import ComponentError, DataError
from umzoo.fields import Fields, Rng

TOLERANCE = 0.1
"""Permitted deviation from [0, 1], since resampling overshoots slightly."""


class Pipeline:
    """Applies corruptions one after the other, each with its own random stream."""

    def __init__(self, corruptions: Sequence[Corruption]) -> None:
        self.corruptions = tuple(corruptions)
        self._range_checked = False

    def __call__(self, image: Tensor, rng: Rng) -> tuple[Tensor, Tensor, list[Fields]]:
        """Return the corrupted *image* ``(B, C, D, H, W)``, its clean target, and the random parameters.

        Raises:
            DataError: if the first batch is not in [0, 1].
        """
        if not self._range_checked:
            check_range(image)
            self._range_checked = True
        draws = self.draw(image, rng)
        return *self.apply(image, draws), draws

    def draw(self, image: Tensor, rng: Rng) -> list[Fields]:
        """Return the parameters of each corruption for *image* ``(B, C, D, H, W)``.

        Corruption i draws from ``rng.fork(i)``, so appending a corruption does not change the parameters of others.

        Raises:
            ComponentError: if a corruption does not return a dictionary.
        """
        drawn = [corruption.draw(image, rng.fork(i)) for i, corruption in enumerate(self.corruptions)]
        for corruption, params in zip(self.corruptions, drawn, strict=True):
            if not isinstance(params, Mapping):
                got = type(params).__name__
                raise ComponentError(f"{corruption.called()}: draw must return a dictionary of tensors, got {got}")
        return drawn

    def apply(self, image: Tensor, draws: Sequence[Fields]) -> tuple[Tensor, Tensor]:
        """Return the corrupted *image* ``(B, C, D, H, W)``, and the clean target, with flips and the like only.

        *image* is not changed; the target is *image* itself if no corruption alters the target.
        """
        if image.device.type == "cpu":
            return self._apply_items(image, draws)
        return self._apply_batch(image, draws)

    def _apply_batch(self, image: Tensor, draws: Sequence[Fields]) -> tuple[Tensor, Tensor]:
        """Process the whole batch, one corruption after the other."""
        corrupted = clean = image
        for corruption, params in zip(self.corruptions, draws, strict=True):
            untouched = corrupted is clean
            corrupted = corruption.apply(corrupted, params)
            if corruption.alters_target:
                clean = corrupted if untouched else corruption.apply(clean, params)
        return corrupted, clean

    def _apply_items(self, image: Tensor, draws: Sequence[Fields]) -> tuple[Tensor, Tensor]:
        """Apply all corruptions to one item, while it is in cache, then to the next."""
        corrupted = image.clone(memory_format=torch.contiguous_format)
        on_target = [corruption.alters_target for corruption in self.corruptions]
        clean = corrupted.clone() if any(on_target) else image
        for item, target, *params in zip(corrupted, clean, *map(unbind, draws), strict=True):
            for corruption, own, too in zip(self.corruptions, params, on_target, strict=True):
                corruption.apply_item_(item, own)
                if too:
                    corruption.apply_item_(target, own)
        return corrupted, clean


def check_range(image: Tensor) -> None:
    """Raise :class:`DataError` unless *image* is in [0, 1], which Bezier, gamma and painting require."""
    low, high = (float(value) for value in image.aminmax())
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise DataError(
            f"corruptions expect images in [0, 1], got values from {low:.3g} to {high:.3g}:"
            " apply the intensity rule before corruptions, and normalize after them"
        )
