"""Features of a scan as colors: their first three principal components, found on the scan itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.vectors import body_windows, patch_size
from umzoo.downstream.inference import slide
from umzoo.scans.scan import Scan
from umzoo.scans.windows import body, pad_to, size_of, windows

SAMPLED, CELLS = 8, 4096
"""Windows, and cells of each, that the components are found on, at most."""
OVERLAP = 0.25
AROUND = 7
"""Edge, in voxels, of the neighborhood of which a tenth is body where something is shown."""
RANGE = (0.01, 0.99)
"""Quantiles that become dark and bright."""


def feature_colors(backbone: Backbone, scan: Scan) -> NDArray[np.uint8]:
    """Return colors ``(D, H, W, 3)`` on the image of *scan*: voxels of one color have like features.

    They are those of the decoder's map where the weights hold a trained decoder, else of the encoder's middle level.
    Windows are blended after the projection, which is linear, so that three channels are all that is held.

    Raises:
        ConfigError: if MONAI is not installed.
    """
    maps = _maps(backbone)
    patch = patch_size(backbone, size_of(scan.image), None)
    device = next(backbone.parameters()).device
    mean, axes = _components(maps, scan, patch, device)

    def project(crops: Tensor) -> Tensor:
        centered = maps(crops) - mean[None, :, None, None, None]
        found = torch.einsum("cn,bcdhw->bndhw", axes, centered)
        same = found.shape[2:] == crops.shape[2:]
        return found if same else functional.interpolate(found, size=crops.shape[2:], mode="trilinear")

    with torch.inference_mode():
        return _bright(slide(project, scan.image, patch, OVERLAP, device), _near_body(scan.image))


def _maps(backbone: Backbone) -> Callable[[Tensor], Tensor]:
    """What gives windows ``(B, C, D, H, W)`` their features ``(B, c, d, h, w)``."""
    info = backbone.weights_info
    backbone.eval()
    if backbone.info.decoder_channels is not None and info is not None and "decoder" in info.parts:
        return lambda crops: backbone(crops, dense=True).dense.float()
    middle = len(backbone.info.levels) // 2
    return lambda crops: backbone.encode(crops)[middle].float()


def _components(
    maps: Callable[[Tensor], Tensor], scan: Scan, patch: tuple[int, int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Mean ``(c,)`` and the first three principal axes ``(c, 3)`` of features in windows that show the body."""
    image = pad_to(scan.image, patch)
    found = body_windows(list(windows(size_of(image), patch)), scan.image)
    chosen = [found[number] for number in np.unique(np.linspace(0, len(found) - 1, SAMPLED).round().astype(int))]
    rows = []
    with torch.inference_mode():
        for z, y, x in chosen:
            cells = maps(image[None, :, z, y, x].to(device))[0].flatten(1).T
            rows.append(cells[:: max(1, len(cells) // CELLS)])
    sample = torch.cat(rows)
    mean = sample.mean(0)
    _, _, axes = torch.linalg.svd(sample - mean, full_matrices=False)
    return mean, functional.pad(axes[:3].T, (0, max(0, 3 - len(axes))))


def _near_body(image: Tensor) -> Tensor:
    """Where *image* ``(C, D, H, W)`` shows the body or air within it, bool ``(D, H, W)``."""
    shown = body(image).float()[None]
    return functional.avg_pool3d(shown, AROUND, 1, AROUND // 2)[0] > 0.1


def _bright(colors: Tensor, inside: Tensor) -> NDArray[np.uint8]:
    """*colors* ``(3, D, H, W)`` in the range that they have *inside* ``(D, H, W)``, and black outside."""
    shown = colors[:, inside] if bool(inside.any()) else colors.flatten(1)
    shown = shown[:, :: max(1, shown.shape[1] // 1_000_000)]
    low, high = (torch.quantile(shown, q, dim=1)[:, None, None, None] for q in RANGE)
    scaled = 255 * ((colors - low) / (high - low).clamp_min(1e-6)).clamp(0, 1) * inside
    return scaled.permute(1, 2, 3, 0).byte().numpy()
