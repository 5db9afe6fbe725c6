"""Maps stored voxels to [0, 1], and to the input space of a network, on the device of the batch."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from umzoo.data.loading.jitter import add_jitter
from umzoo.fields import Fields, Rng

InputSpace = Literal["unit", "zscore"]


def to_unit(batch: Fields, rng: Rng | None = None) -> Fields:
    """Return *batch* with ``image`` float32 ``(B, 1, D, H, W)`` in [0, 1] instead of ``voxels`` and ``window``.

    Equally sharp crops (``width`` > 0) get noise from *rng* at every scale: a scan's own noise decreases by averaging,
    and would reveal the scale. One part of the noise is filtered like the crop, one part is white (it hides the
    traces of interpolation); see :func:`~umzoo.data.loading.jitter.add_jitter`. Without *rng* no noise is added.
    """
    low, high = (bound.view(-1, 1, 1, 1, 1) for bound in batch["window"].unbind(1))
    image = batch["voxels"].float().sub_(low).mul_(1 / (high - low)).clamp_(0, 1)
    if rng is not None:
        add_jitter(image, batch["width"], rng)
    return {**{name: value for name, value in batch.items() if name not in ("voxels", "window")}, "image": image}


def enter(image: Tensor, fields: Fields, space: InputSpace) -> Tensor:
    """Map *image* in [0, 1] to the input space of a network, with the ``mean`` and ``std`` of its volumes.

    *image* may hold k views of the batch one after the other ``(k * B, 1, D, H, W)``.
    """
    if space == "unit":
        return image
    mean, std = _statistics(image, fields)
    return (image - mean) / std


def leave(image: Tensor, fields: Fields, space: InputSpace) -> Tensor:
    """The inverse of :func:`enter`."""
    if space == "unit":
        return image
    mean, std = _statistics(image, fields)
    return image * std + mean


def _statistics(image: Tensor, fields: Fields) -> tuple[Tensor, Tensor]:
    views = len(image) // len(fields["mean"])
    mean, std = (fields[name].repeat(views).view(-1, 1, 1, 1, 1) for name in ("mean", "std"))
    return mean, std
