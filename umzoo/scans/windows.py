"""Windows that cover an image, and the part of it that is body."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Size = tuple[int, int, int]
Window = tuple[slice, slice, slice]
BODY_SHARE = 0.02
"""Minimum share of body voxels in a window; other windows are not used."""
_SAMPLE = 200_000


def size_of(image: Tensor) -> Size:
    """Return the size (D, H, W) of *image* ``(C, D, H, W)``."""
    depth, height, width = image.shape[1:]
    return depth, height, width


def window_size(shape: Size, patch: Size, divisor: Size) -> Size:
    """Return *patch*, reduced for small images to the smallest multiple of *divisor* that covers them."""
    sizes = [min(p, -(-n // d) * d) for n, p, d in zip(shape, patch, divisor, strict=True)]
    depth, height, width = sizes
    return depth, height, width


def windows(shape: Size, size: Size, overlap: float = 0.0) -> Iterator[Window]:
    """Yield evenly spaced windows of *size* that cover *shape* and overlap by at least the share *overlap*."""
    starts = []
    for full, edge in zip(shape, size, strict=True):
        count = 1 + -(-max(full - edge, 0) // max(1, round(edge * (1 - overlap))))
        starts.append(np.linspace(0, max(full - edge, 0), count).round().astype(int).tolist())
    for z, y, x in product(*starts):
        yield slice(z, z + size[0]), slice(y, y + size[1]), slice(x, x + size[2])


def pad_to(image: Tensor, size: Size) -> Tensor:
    """Pad *image* ``(C, D, H, W)`` at the end of each axis with each channel's minimum, to at least *size*."""
    missing = [max(wanted - found, 0) for wanted, found in zip(size, image.shape[1:], strict=True)]
    if not any(missing):
        return image
    margins = [side for gap in reversed(missing) for side in (0, gap)]
    return torch.stack([functional.pad(channel, margins, value=float(channel.min())) for channel in image])


def body(image: Tensor) -> Tensor:
    """Return a foreground mask of *image* ``(C, D, H, W)``, bool ``(D, H, W)``.

    Foreground is where a channel exceeds its 0.5th percentile by more than 5 % of the range to its 99.5th, as in
    ``umzoo prepare`` for MR.
    """
    found = torch.zeros(image.shape[1:], dtype=torch.bool)
    for channel in image:
        values = channel.flatten()[:: max(1, channel.numel() // _SAMPLE)].float()
        low, high = (float(torch.quantile(values, q)) for q in (0.005, 0.995))
        if not high > low:
            low, high = float(channel.min()), float(channel.max())
        found |= channel > low + 0.05 * (high - low)
    return found
