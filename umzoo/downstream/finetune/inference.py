"""Inference on whole scans."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from umzoo.data.loading.config import Size
from umzoo.downstream.finetune.cases import CachedCase
from umzoo.downstream.finetune.config import CropConfig
from umzoo.downstream.finetune.crops import center_crop
from umzoo.downstream.inference import mean_over_windows, slide


def logits_of_scan(
    network: Callable[[Tensor], Tensor], cached: CachedCase, config: CropConfig, patch: Size, device: torch.device
) -> Tensor:
    """Return logits ``(n, D, H, W)`` for segmentation, or ``(n,)`` per scan for other tasks."""
    if cached.label is None and config.view == "center":
        return network(center_crop(cached, patch)[None].to(device))[0].float().cpu()
    image = torch.from_numpy(cached.image.astype("float32"))
    ask = mean_over_windows if cached.label is None else slide
    return ask(network, image, patch, config.overlap, device)
