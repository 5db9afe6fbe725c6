"""Other input channels for a trained network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from umzoo.backbones.state import Shapes


def adapt_channels(state: Mapping[str, Tensor], wanted: Shapes) -> dict[str, Tensor]:
    """Return *state* with its first convolution fitted to the input channels of *wanted*.

    Only the tensor named by :func:`first_kernel` can change. The rest of *state* is returned as it is.
    """
    stem = first_kernel(wanted)
    if stem is None or stem not in state or not channels_differ(tuple(state[stem].shape), wanted[stem]):
        return dict(state)
    return {**state, stem: repeat_channels(state[stem], wanted[stem][1])}


def repeat_channels(weight: Tensor, channels: int) -> Tensor:
    """Repeat the input channels of *weight* ``(out, n, ...)`` to ``(out, channels, ...)``, scaled by n / channels.

    An image whose channels repeat the original ones gives the original response when *channels* is a multiple of n.
    """
    source = weight.shape[1]
    return weight[:, torch.arange(channels) % source] * (source / channels)


def first_kernel(tensors: Shapes) -> str | None:
    """Return the name of the first convolution of the encoder, the one that sees the image."""
    return next((name for name, shape in tensors.items() if name.startswith("encoder.") and len(shape) == 5), None)


def channels_differ(source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether two kernels differ in their input channels and in nothing else."""
    return (
        len(source) == len(target) and source[1] != target[1] and (source[0], *source[2:]) == (target[0], *target[2:])
    )
