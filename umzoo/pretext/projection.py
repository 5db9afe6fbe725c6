"""Common parts of contrastive tasks: the projection head, and similarities in full precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Projection(nn.Module):
    """Projects features to an embedding: linear, batch norm, ReLU, linear, and a second batch norm if *centered*.

    SimCLR's released code (google-research/simclr, model_util.py) has both norms, VoCo's has the first. Without norms,
    all cosines of embeddings are near 1 at the start. The norms use batch statistics also in eval mode, and need at
    least two rows.
    """

    def __init__(self, channels: int, hidden: int, dim: int, centered: bool) -> None:
        super().__init__()
        layers = [nn.Linear(channels, hidden), _norm(hidden), nn.ReLU(), nn.Linear(hidden, dim)]
        self.layers = nn.Sequential(*layers, *([_norm(dim)] if centered else []))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(B, channels)`` to ``(B, dim)``, not normalized; :func:`similarity` normalizes."""
        embedding: Tensor = self.layers(features)
        return embedding


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm1d(channels, affine=False, track_running_stats=False)


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Return cosine similarities ``(..., m, n)`` of *a* ``(..., m, C)`` and *b* ``(..., n, C)``, always in float32."""
    with torch.autocast(a.device.type, enabled=False):
        a, b = (functional.normalize(x.float(), dim=-1) for x in (a, b))
        return a @ b.transpose(-1, -2)
