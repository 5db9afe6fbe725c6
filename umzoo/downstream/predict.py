"""Prediction of whole volumes by a sliding window."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

Size = tuple[int, int, int]


@torch.no_grad()
def predict(model: nn.Module, image: Tensor, patch_size: Size, overlap: float = 0.5) -> Tensor:
    """Return class probabilities ``(n, D, H, W)`` of *image* ``(C, D, H, W)``.

    Windows overlap by *overlap* and count with a Gaussian weight, as in nnU-Net.
    """
    device = next(model.parameters()).device
    model.eval()
    padded = pad_to(image, patch_size)
    weight = _gaussian(patch_size)
    mass = torch.zeros(padded.shape[1:])
    total: Tensor | None = None
    for z, y, x in _windows((padded.shape[1], padded.shape[2], padded.shape[3]), patch_size, overlap):
        part = model(padded[None, :, z, y, x].to(device))[0].softmax(dim=0).float().cpu()
        total = part.new_zeros((len(part), *mass.shape)) if total is None else total
        total[:, z, y, x] += part * weight
        mass[z, y, x] += weight
    if total is None:
        raise ValueError(f"image is empty: {tuple(image.shape)}")
    z, y, x = (_middle(full, size) for full, size in zip(mass.shape, image.shape[1:], strict=True))
    return (total / mass)[:, z, y, x]


def pad_to(image: Tensor, size: Size) -> Tensor:
    """Pad *image* ``(C, D, H, W)`` on both sides with its least value up to *size* where it is smaller."""
    missing = [max(wanted - found, 0) for wanted, found in zip(size, image.shape[1:], strict=True)]
    if not any(missing):
        return image
    margins = [side for gap in reversed(missing) for side in (gap // 2, gap - gap // 2)]
    return functional.pad(image, margins, value=image.min().item())


def _middle(full: int, size: int) -> slice:
    first = (full - size) // 2
    return slice(first, first + size)


def _windows(shape: Size, patch: Size, overlap: float) -> Iterator[tuple[slice, slice, slice]]:
    starts = []
    for full, size in zip(shape, patch, strict=True):
        count = 1 + -(-(full - size) // max(1, round(size * (1 - overlap))))
        starts.append(torch.linspace(0, full - size, count).round().int().tolist())
    for z, y, x in product(*starts):
        yield slice(z, z + patch[0]), slice(y, y + patch[1]), slice(x, x + patch[2])


def _gaussian(patch: Size) -> Tensor:
    """Weight ``(D, H, W)`` with a standard deviation of an eighth of the window, at least 0.001."""
    axes = [torch.exp(-0.5 * ((torch.arange(n) - (n - 1) / 2) / (n / 8)) ** 2) for n in patch]
    return torch.einsum("i,j,k->ijk", *axes).clamp_min(1e-3)
