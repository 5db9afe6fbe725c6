"""What a forward pass of a backbone gives: a named tuple, so that what handles outputs in PyTorch sees its tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import checkpoint

from umzoo.backbones.pooling import pool


class Features(NamedTuple):
    """What a forward pass gives.

    A named tuple is what ``torch.export``, DDP and FSDP look into and ``DataParallel`` gathers.

    Attributes:
        levels: ``(B, C_i, D/s, H/s, W/s)`` tensors, fine to coarse.
        dense: ``(B, decoder_channels, D, H, W)``, or None if it was not asked for.
        pooled: ``(B, C_last)``, the mean of the coarsest level over space, or a transformer's class token. Behind an
            instance norm it hardly varies between images: :meth:`vector` gives what does.
    """

    levels: list[Tensor]
    dense: Tensor | None
    pooled: Tensor

    @property
    def octants(self) -> Tensor:
        """The means of the coarsest level over each of its octants, ``(B, 8 * C_last)``: they still tell directions.

        ``pooled`` hardly does, least of all behind an instance norm, which leaves every channel the same mean.
        """
        return pool(self.levels[-1], "octants")

    def vector(self, levels: Sequence[int] = (-1,), pooling: str = "mean") -> Tensor:
        """Return one vector an image, ``(B, n)``: *levels* (by position, fine to coarse) pooled and joined.

        Args:
            levels: which; -1 is the coarsest.
            pooling: ``"mean"``, ``"max"``, ``"std"``, ``"mean+max"`` or ``"octants"``, see
                :func:`umzoo.backbones.pooling.pool`.

        Raises:
            ConfigError: if there is no such *pooling*.
        """
        return torch.cat([pool(self.levels[index], pooling) for index in levels], dim=1)

    def __repr__(self) -> str:
        shapes = [tuple(level.shape) for level in self.levels]
        dense = None if self.dense is None else tuple(self.dense.shape)
        kind = f"{self.pooled.dtype}, device={self.pooled.device}"
        return f"Features(levels={shapes}, dense={dense}, pooled={tuple(self.pooled.shape)}, dtype={kind})"


def checkpointed(backbone: Any, image: Tensor, dense: bool = False) -> Features:
    """Return ``backbone(image, dense)``, whose activations are computed again in the backward pass.

    It is PyTorch's reentrant checkpointing, which on its own sees tensors in plain tuples only and gives parameters
    no gradient unless an input has one.

    Args:
        backbone: a :class:`umzoo.Backbone`, perhaps wrapped.
        image: ``(B, C, D, H, W)``.
        dense: whether the dense map is wanted.
    """
    trees: list[Any] = []

    def run(x: Tensor) -> tuple[Any, ...]:
        leaves, tree = pytree.tree_flatten(backbone(x, dense=dense))
        trees.append(tree)
        return tuple(leaves)

    tracked = image if image.requires_grad or not torch.is_grad_enabled() else image.detach().requires_grad_()
    leaves = checkpoint(run, tracked, use_reentrant=True)
    features: Features = pytree.tree_unflatten(list(leaves), trees[0])
    return features
