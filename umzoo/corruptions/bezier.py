"""Non-linear intensity map along a random cubic Bezier curve."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.corruptions.itemwise import ItemwiseCorruption, per_item
from umzoo.fields import Fields, Rng

LEVELS = 4096
"""Grey levels of the look-up table."""
SAMPLES = 1024
"""Points at which a curve is evaluated before it is inverted."""
CHUNK = 1 << 16
"""Voxels looked up at a time on the CPU: scratch stays in L2."""


class Bezier(ItemwiseCorruption):
    """Map intensities by a monotone curve through (0, 0), two random control points and (1, 1), or its mirror image.

    The law of Models Genesis (``pytorch/utils.py``, ``nonlinear_transformation``): control points from U(0, 1)^2,
    decreasing with probability ``decreasing``, values outside [0, 1] clamped. The curve is tabulated at 4096 grey
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
        and ``table`` float32 ``(B, 4096)``, the values that grey levels from 0 to 1 are mapped to.
        """
        applied = rng.bernoulli((shape[0],), self.config.p)
        decreasing = rng.bernoulli((shape[0],), self.config.decreasing)
        control = rng.uniform((shape[0], 2, 2))
        table = tabulate(control, decreasing)
        return {"applied": applied, "decreasing": decreasing, "control": control, "table": table}

    def apply_item(self, item: Tensor, params: Fields) -> Tensor:
        """Return *item* ``(C, D, H, W)`` mapped."""
        if not params["applied"]:
            return item
        out = torch.empty(item.shape)
        for part, mapped in zip(item.reshape(-1).split(CHUNK), out.view(-1).split(CHUNK), strict=True):
            torch.index_select(params["table"], 0, _levels(part), out=mapped)
        return out

    def apply_batch(self, image: Tensor, params: Fields) -> Tensor:
        """Return *image* ``(B, C, D, H, W)`` mapped."""
        first = torch.arange(len(image), dtype=torch.int32, device=image.device) * LEVELS
        index = _levels(image).add_(per_item(first))
        mapped = params["table"].reshape(-1).index_select(0, index.view(-1)).view(image.shape)
        return torch.where(per_item(params["applied"]), mapped, image)


def tabulate(control: Tensor, decreasing: Tensor) -> Tensor:
    """Return the curves of *control* ``(B, 2, 2)``, mirrored where *decreasing* ``(B,)``, as ``(B, 4096)`` tables."""
    t = torch.linspace(0, 1, SAMPLES, device=control.device)
    basis = torch.stack([3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t)])
    x, y = (control.transpose(1, 2) @ basis + t**3).unbind(1)
    y = torch.where(decreasing[:, None], y.flip(1), y)
    return _interpolate(torch.linspace(0, 1, LEVELS, device=t.device), x.contiguous(), y)


def _interpolate(query: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return ``(B, Q)``: the values at *query* ``(Q,)`` of the curves through *x*, *y* ``(B, N)``, x not decreasing."""
    right = torch.searchsorted(x, query.expand(len(x), -1).contiguous()).clamp_(1, x.shape[1] - 1)
    left = right - 1
    x_left, y_left = x.gather(1, left), y.gather(1, left)
    weight = ((query - x_left) / (x.gather(1, right) - x_left).clamp_(min=1e-9)).clamp_(0, 1)
    return torch.lerp(y_left, y.gather(1, right), weight)


def _levels(image: Tensor) -> Tensor:
    """Return the nearest grey level of each voxel, int32; voxels outside [0, 1] get the first or the last."""
    half = torch.tensor(0.5)
    return torch.add(half, image, alpha=LEVELS - 1).clamp_(0, LEVELS - 0.5).to(torch.int32)
