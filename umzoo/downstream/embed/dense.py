"""Dense feature maps of a whole scan."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.vectors import patch_size
from umzoo.downstream.inference import OVERLAP, slide
from umzoo.errors import ConfigError
from umzoo.heads.model import Model
from umzoo.scans.scan import Scan
from umzoo.scans.windows import size_of


def dense_features(model: Backbone | Model, scan: Scan, level: int | None = None, overlap: float = OVERLAP) -> Tensor:
    """Return a feature map ``(C, D, H, W)`` on the grid of the image of *scan*.

    Overlapping windows are blended with Gaussian weights (MONAI's sliding-window inference).

    Args:
        model: a network of :func:`umzoo.from_pretrained`; a head is not used.
        scan: of :func:`umzoo.load_scan`.
        level: encoder level, interpolated to the image; None selects the decoder's output.
        overlap: overlap of neighboring windows, as a fraction.

    Raises:
        ConfigError: if the network has no decoder and no *level* is given, or MONAI is not installed.
    """
    backbone = model.backbone if isinstance(model, Model) else model
    if level is None and backbone.info.decoder_channels is None:
        raise ConfigError(f"{backbone.name} has no decoder: choose a level of the encoder, such as level=0")
    device = next(backbone.parameters()).device

    def answer(windows: Tensor) -> Tensor:
        if level is None:
            dense: Tensor = backbone(windows, dense=True).dense
            return dense
        return functional.interpolate(backbone.encode(windows)[level], size=windows.shape[2:], mode="trilinear")

    backbone.eval()
    with torch.inference_mode():
        patch = patch_size(backbone, size_of(scan.image), None)
        return slide(answer, scan.image, patch, overlap, device)
