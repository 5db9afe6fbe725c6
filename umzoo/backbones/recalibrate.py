"""Recalibration of the running statistics of batch norms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from umzoo.backbones.base import Backbone
from umzoo.errors import ConfigError


def recalibrate(backbone: Backbone, images: Iterable[Tensor]) -> Backbone:
    """Recompute the running statistics of the batch norms of *backbone*, and use them in eval mode.

    It is for networks whose outputs depend on the rest of the batch (``batch_statistics`` of ``genesis_unet``), and for
    data that differ from those of pre-training. A few dozen unlabeled images suffice. Nothing else changes.

    Args:
        backbone: changed in place; its ``batch_statistics`` is off afterwards.
        images: batches ``(B, C, D, H, W)`` in the network's input space, weighted equally.

    Returns:
        *backbone*.

    Raises:
        ConfigError: if it has no batch norm, there is no image, or an image is invalid.
    """
    norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        raise ConfigError(f"{backbone.name} has no batch norm: there is nothing to recalibrate")
    batches = iter(images)
    first = next(batches, None)
    if first is None:
        raise ConfigError("recalibration needs at least one batch of images, got none")
    backbone.check_input(first)
    dense = backbone.info.decoder_channels is not None
    with torch.no_grad(), _measuring(backbone, norms):
        for image in chain((first,), batches):
            backbone(image, dense=dense)
    if getattr(backbone.config, "batch_statistics", False):
        backbone.config = backbone.config.model_copy(update={"batch_statistics": False})
        for norm in norms:
            setattr(norm, "batch_statistics", False)  # noqa: B010 - of the network's own kind of batch norm
    return backbone


@contextmanager
def _measuring(backbone: Backbone, norms: list[_BatchNorm]) -> Iterator[None]:
    """While entered, *backbone* is in eval mode except its *norms*, which average the statistics of all batches."""
    modes = {module: module.training for module in backbone.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    backbone.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
