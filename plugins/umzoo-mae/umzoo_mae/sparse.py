"""Masked convolutions, as in SparK (Tian et al., ICLR 2023): a convolutional encoder of visible voxels only.

The output of every convolution is set to 0 at masked voxels, and norms use statistics of visible voxels. The result
equals that of sparse convolutions, at the cost of dense ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import umzoo
from umzoo.errors import ConfigError
from umzoo_mae.masks import enlarge

NORMS = (nn.InstanceNorm3d, nn.BatchNorm3d)


class SparsePass(nn.Module):
    """Encode with masked convolutions, fill masked positions of every level with learned values, and decode.

    The backbone's ``encode`` is called directly, so this pass is not compiled, even if the backbone is.
    """

    def __init__(self, info: umzoo.BackboneInfo) -> None:
        super().__init__()
        self.fill = nn.ParameterList(
            nn.init.trunc_normal_(torch.empty(1, level.channels, 1, 1, 1), std=0.02) for level in info.levels
        )

    def check(self, backbone: umzoo.Backbone) -> None:
        """Check that all parameters of the encoder are in convolutions and :data:`NORMS`.

        Raises:
            ConfigError: if not; the message names the other layers.
        """
        known = (nn.Conv3d, *NORMS)
        modules = [module for module in backbone.get_submodule("encoder").modules() if not isinstance(module, known)]
        if other := sorted({type(m).__name__ for m in modules if any(True for _ in m.parameters(recurse=False))}):
            raise ConfigError(f"mae with mode 'sparse' cannot mask {', '.join(other)} of {backbone.name}: use 'dense'")

    def forward(self, backbone: umzoo.Backbone, views: umzoo.Fields) -> umzoo.Features:
        """Return the levels, 0 at masked positions, and the dense features decoded from the filled levels."""
        visible, image = ~views["masked"], views["input"]
        with masked_layers(backbone.get_submodule("encoder"), visible):
            levels = backbone.encode(image * enlarge(visible, image.shape[2:]))
        filled = [
            torch.where(enlarge(visible, level.shape[2:]), level, value.to(level.dtype))
            for level, value in zip(levels, self.fill, strict=True)
        ]
        pooled = levels[-1].mean(dim=(2, 3, 4)) * (visible[0].numel() / visible[0].sum())
        return umzoo.Features(levels, backbone.decode(filled), pooled)


@contextmanager
def masked_layers(encoder: nn.Module, visible: Tensor) -> Iterator[None]:
    """Restrict convolutions and norms of *encoder* to blocks where *visible* ``(B, d, h, w)`` is True."""
    changed: list[Any] = [module for module in encoder.modules() if isinstance(module, (nn.Conv3d, *NORMS))]
    for module in changed:
        norm = isinstance(module, NORMS)
        forward = partial(_norm, module) if norm else partial(_convolution, module.forward)
        module.forward = partial(forward, visible)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _convolution(forward: Callable[[Tensor], Tensor], visible: Tensor, x: Tensor) -> Tensor:
    result = forward(x)
    return result * enlarge(visible, result.shape[2:])


def _norm(module: Any, visible: Tensor, x: Tensor) -> Tensor:
    """Normalize by statistics of visible voxels: of each item, or of the batch for batch norm."""
    mask = enlarge(visible, x.shape[2:])
    batch = isinstance(module, nn.BatchNorm3d)
    axes = (0, 2, 3, 4) if batch else (2, 3, 4)
    count = mask.sum(axes, keepdim=True)
    mean = (x.float() * mask).sum(axes, keepdim=True) / count
    centered = (x.float() - mean) * mask
    variance = centered.square().sum(axes, keepdim=True) / count
    if batch and module.training and module.track_running_stats:
        _track(module, mean.flatten(), (variance * count / (count - 1)).flatten())
    result = centered * torch.rsqrt(variance + module.eps)
    if module.affine:
        result = result * module.weight.view(1, -1, 1, 1, 1) + module.bias.view(1, -1, 1, 1, 1)
    return (result * mask).to(x.dtype)


@torch.no_grad()
def _track(module: Any, mean: Tensor, variance: Tensor) -> None:
    """Update the running statistics as in batch norm."""
    module.num_batches_tracked += 1
    momentum = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
    module.running_mean.lerp_(mean.to(module.running_mean), momentum)
    module.running_var.lerp_(variance.to(module.running_var), momentum)
