"""A network asked window by window, by MONAI: the same in validation, prediction and dense features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from umzoo.errors import ConfigError
from umzoo.scans.windows import Size

OVERLAP = 0.5
"""Share by which windows overlap, unless the user says otherwise."""


def slide(
    network: Callable[[Tensor], Tensor], image: Tensor, patch: Size, overlap: float, device: torch.device
) -> Tensor:
    """Return the answers to windows of *image* ``(C, D, H, W)``, blended with a Gaussian weight, ``(n, D, H, W)``.

    An image that is smaller than a window is padded with its least value.

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
    """Return the mean answer ``(n,)`` over windows of *image* ``(C, D, H, W)``."""
    from monai.data.utils import dense_patch_slices
    from monai.transforms import SpatialPad

    padded = torch.as_tensor(SpatialPad(patch, constant_values=float(image.min()))(image))
    steps = [max(1, round(size * (1 - overlap))) for size in patch]
    windows = dense_patch_slices(padded.shape[1:], patch, steps)
    answers = [
        network(padded[None, :, window[0], window[1], window[2]].to(device))[0].float().cpu() for window in windows
    ]
    return torch.stack(answers).mean(dim=0)
