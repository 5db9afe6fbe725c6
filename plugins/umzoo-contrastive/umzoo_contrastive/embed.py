"""What both methods share: the projection head, and similarities in full precision."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

import umzoo
from umzoo.heads.projection import Projection


def build_projection(info: umzoo.BackboneInfo, hidden: int, dim: int) -> Projection:
    """Return a head from pooled features to embeddings ``(B, dim)``; they are normalised by :func:`similarity`."""
    return Projection.build(Projection.Config(hidden=hidden, dim=dim, normalize=False), info=info)


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosines ``(..., m, n)`` of *a* ``(..., m, C)`` and *b* ``(..., n, C)``, always in float32."""
    with torch.autocast(a.device.type, enabled=False):
        a, b = (functional.normalize(x.float(), dim=-1) for x in (a, b))
        return a @ b.transpose(-1, -2)
