"""Sliding-window inference with MONAI, shared by validation, prediction and dense features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from umzoo.errors import ConfigError
from umzoo.scans.windows import Size

OVERLAP = 0.5
"""Default overlap of neighboring windows, as a fraction of a window's edge."""


def slide(
    network: Callable[[Tensor], Tensor], image: Tensor, patch: Size, overlap: float, device: torch.device
) -> Tensor:
    """Return the outputs ``(n, D, H, W)`` for windows of *image* ``(C, D, H, W)``, blended with Gaussian weights.

    An image that is smaller than a window is padded with its minimum.

    Raises:
        ConfigError: if MONAI is not installed.
    """
    try:
        from monai.inferers import sliding_window_inference
    except ImportError:
        raise ConfigError("windows over a whole scan need MONAI: pip install 'umzoo[finetune]'") from None
    found: Any = sliding_window_inference(
        image[None],
        patch,
        sw_batch_size=1,
        predictor=network,
        overlap=overlap,
        mode="gaussian",
        cval=float(image.min()),
        sw_device=device,
        device=torch.device("cpu"),
    )
    return torch.as_tensor(found)[0].float()


def mean_over_windows(
    network: Callable[[Tensor], Tensor], image: Tensor, patch: Size, overlap: float, device: torch.device
) -> Tensor:
    """Return the output ``(n,)``, averaged over the windows of *image* ``(C, D, H, W)``."""
    from monai.data.utils import dense_patch_slices
    from monai.transforms import SpatialPad

    padded = torch.as_tensor(SpatialPad(patch, constant_values=float(image.min()))(image))
    steps = [max(1, round(size * (1 - overlap))) for size in patch]
    windows = dense_patch_slices(padded.shape[1:], patch, steps)
    answers = [
        network(padded[None, :, window[0], window[1], window[2]].to(device))[0].float().cpu() for window in windows
    ]
    return torch.stack(answers).mean(dim=0)
