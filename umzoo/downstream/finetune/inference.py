"""Answers for whole scans."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from umzoo.data.config import Size
from umzoo.downstream.finetune.cases import CachedCase
from umzoo.downstream.finetune.config import CropConfig
from umzoo.downstream.finetune.crops import center_crop


def logits_of_scan(
    network: Callable[[Tensor], Tensor], cached: CachedCase, config: CropConfig, patch: Size, device: torch.device
) -> Tensor:
    """Return logits ``(n, D, H, W)`` of a label map, or ``(n,)`` per scan."""
    from monai.inferers import sliding_window_inference

    if cached.label is None and config.view == "center":
        return network(center_crop(cached, patch)[None].to(device))[0].float().cpu()
    image = torch.from_numpy(cached.image.astype("float32"))[None]
    if cached.label is None:
        return mean_over_windows(network, image[0], config.overlap, patch, device)
    found = sliding_window_inference(
        image,
        patch,
        sw_batch_size=1,
        predictor=network,
        overlap=config.overlap,
        mode="gaussian",
        cval=float(image.min()),
        sw_device=device,
        device=torch.device("cpu"),
    )
    return torch.as_tensor(found)[0].float()


def mean_over_windows(
    network: Callable[[Tensor], Tensor], image: Tensor, overlap: float, patch: Size, device: torch.device
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
