"""Non-linear intensity map along a random cubic Bezier curve."""

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
"""Cells of the look-up table: equal parts of [0, 1], the first and the last of which stand for 0 and 1 proper."""
SAMPLES = 512
"""Points at which a curve is evaluated before it is inverted."""
CHUNK = 1 << 16
"""Voxels looked up at a time on the CPU: scratch stays in L2."""

_T = np.linspace(0, 1, SAMPLES)
_BASIS = np.stack([3 * _T * (1 - _T) ** 2, 3 * _T**2 * (1 - _T)]).astype(np.float32)
_END = _T**3
_CELLS = np.concatenate([[0], np.arange(1.5, LEVELS - 1) / LEVELS, [1]])


class Bezier(ItemwiseCorruption):
    """Map intensities by a monotone curve through (0, 0), two random control points and (1, 1), or its mirror image.

    The law of Models Genesis (``pytorch/utils.py``, ``nonlinear_transformation``): control points from U(0, 1)^2,
    decreasing with probability ``decreasing``, values outside [0, 1] clamped. The curve is tabulated at 4096 gray
    levels instead of interpolated among 100,000 points: median error 3e-4.
    """

    name = "bezier"

    class Config(config.Config):
        """Options of ``bezier``."""

        p: float = Field(0.9, ge=0, le=1, description="probability per image")
        decreasing: float = Field(0.5, ge=0, le=1, description="probability that a map is decreasing")

    def sample(self, shape: torch.Size, rng: Rng) -> Fields:
        """Return what was drawn, and the curve it makes.

        ``applied`` and ``decreasing`` are bool ``(B,)``, ``control`` is float32 ``(B, 2, 2)``, two points (x, y),
        and ``table`` float32 ``(B, 4096)``, the values that gray levels from 0 to 1 are mapped to.
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
    """Return the curves of *control* ``(B, 2, 2)``, mirrored where *decreasing* ``(B,)``, as ``(B, 4096)`` tables."""
    tables = np.empty((len(control), LEVELS), np.float32)
    curves = control.transpose(1, 2).numpy() @ _BASIS + _END
    for table, (x, y), mirrored in zip(tables, curves, decreasing.tolist(), strict=True):
        table[:] = np.interp(_CELLS, x, y[::-1] if mirrored else y)
    return torch.from_numpy(tables)


def _levels(image: Tensor) -> Tensor:
    """Return the cell of the table that each voxel falls in, int32; voxels outside [0, 1] get the first or the last."""
    return image.mul(LEVELS).clamp_(0, LEVELS - 1).to(torch.int32)
