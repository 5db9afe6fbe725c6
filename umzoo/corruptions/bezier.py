"""Non-linear intensity transform by a random cubic Bezier curve."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.corruptions.itemwise import ItemwiseCorruption, per_item
from umzoo.fields import Fields, Rng
from umzoo.noise.fast import kernels_for

LEVELS = 4096
"""Entries of the look-up table for equal intervals of [0, 1]; the first and last entry hold the values at 0 and 1."""
SAMPLES = 512
"""Points at which a curve is evaluated before it is inverted."""
CHUNK = 1 << 16
"""Voxels per look-up on the CPU, so that temporary arrays fit in the L2 cache."""

_T = np.linspace(0, 1, SAMPLES)
_BASIS = np.stack([3 * _T * (1 - _T) ** 2, 3 * _T**2 * (1 - _T)]).astype(np.float32)
_END = _T**3
_CELLS = np.concatenate([[0], np.arange(1.5, LEVELS - 1) / LEVELS, [1]])


class Bezier(ItemwiseCorruption):
    """Map intensities by a monotone Bezier curve from (0, 0) to (1, 1) with two random control points, or mirrored.

    As in Models Genesis (``pytorch/utils.py``, ``nonlinear_transformation``), control points are from U(0, 1)^2, the
    curve is decreasing with probability ``decreasing``, and values outside [0, 1] are clamped. The curve is tabulated
    at 4096 intensities instead of interpolated among 100,000 points: median error 3e-4.
    """

    name = "bezier"

    class Config(config.Config):
        """Options of ``bezier``."""

        p: float = Field(0.9, ge=0, le=1, description="probability per image")
        decreasing: float = Field(0.5, ge=0, le=1, description="probability of a decreasing curve")

    def sample(self, shape: torch.Size, rng: Rng) -> Fields:
        """Return the random parameters and the look-up table of the curve.

        ``applied`` and ``decreasing`` are bool ``(B,)``, ``control`` is float32 ``(B, 2, 2)``, two points (x, y),
        and ``table`` is float32 ``(B, 4096)``, the output for intensities from 0 to 1.
        """
        applied = rng.bernoulli((shape[0],), self.config.p)
        decreasing = rng.bernoulli((shape[0],), self.config.decreasing)
        control = rng.uniform((shape[0], 2, 2))
        table = tabulate(control, decreasing)
        return {"applied": applied, "decreasing": decreasing, "control": control, "table": table}

    def apply_item_(self, item: Tensor, params: Fields) -> None:
        """Map *item* ``(C, D, H, W)`` in place."""
        if not params["applied"]:
            return
        if loops := kernels_for(item, "corruptions.compiled"):
            loops.look_up(item.view(-1).numpy(), params["table"].numpy())
        else:
            for part in item.view(-1).split(CHUNK):
                torch.index_select(params["table"], 0, _levels(part), out=part)

    def apply_batch(self, image: Tensor, params: Fields) -> Tensor:
        """Return *image* ``(B, C, D, H, W)`` mapped."""
        first = torch.arange(len(image), dtype=torch.int32, device=image.device) * LEVELS
        index = _levels(image).add_(per_item(first))
        mapped = params["table"].reshape(-1).index_select(0, index.flatten()).view(image.shape)
        return torch.where(per_item(params["applied"]), mapped, image)


def tabulate(control: Tensor, decreasing: Tensor) -> Tensor:
    """Return look-up tables ``(B, 4096)`` of the curves *control* ``(B, 2, 2)``, mirrored if *decreasing* ``(B,)``."""
    tables = np.empty((len(control), LEVELS), np.float32)
    curves = control.transpose(1, 2).numpy() @ _BASIS + _END
    for table, (x, y), mirrored in zip(tables, curves, decreasing.tolist(), strict=True):
        table[:] = np.interp(_CELLS, x, y[::-1] if mirrored else y)
    return torch.from_numpy(tables)


def _levels(image: Tensor) -> Tensor:
    """Return the table index of each voxel, int32; voxels outside [0, 1] get the first or last index."""
    return image.mul(LEVELS).clamp_(0, LEVELS - 1).to(torch.int32)
