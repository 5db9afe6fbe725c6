"""What both methods share: the projection head, similarities in full precision, and corruptions of the crops."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

import umzoo
from umzoo.corruptions.pipeline import Pipeline
from umzoo.heads.projection import Projection
from umzoo.plugins import zoo
from umzoo.spec import ComponentSpec


def build_projection(info: umzoo.BackboneInfo, hidden: int, dim: int) -> Projection:
    """Return a head from pooled features to embeddings ``(B, dim)``; they are normalised by :func:`similarity`."""
    return Projection.build(Projection.Config(hidden=hidden, dim=dim, normalize=False), info=info)


def build_corruptions(specs: Sequence[ComponentSpec], task: str) -> Pipeline:
    """Return the registered corruptions that *specs* name.

    Raises:
        UnknownNameError: if there is no such corruption.
        ConfigError: if an option of one is wrong.
    """
    return Pipeline([zoo().corruptions.build(spec, f"pretext.tasks.{task}.corruptions.{spec.name}") for spec in specs])


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosines ``(..., m, n)`` of *a* ``(..., m, C)`` and *b* ``(..., n, C)``, always in float32."""
    with torch.autocast(a.device.type, enabled=False):
        a, b = (functional.normalize(x.float(), dim=-1) for x in (a, b))
        return a @ b.transpose(-1, -2)
