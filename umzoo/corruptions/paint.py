"""In-painting and out-painting: noise inside or outside windows."""

from __future__ import annotations

from functools import lru_cache

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.corruptions.itemwise import ItemwiseCorruption, per_item
from umzoo.fields import Fields, Rng
from umzoo.noise.counter import draw_seeds, integers_between, uniform_, uniform_like
from umzoo.noise.fast import kernels_for

WINDOWS = 5
MARGIN = 3


class Paint(ItemwiseCorruption):
    """Replace the inside of up to five windows, or everything outside them, by U(0, 1) noise.

    As in Models Genesis (``pytorch/utils.py``, ``image_in_painting`` and ``image_out_painting``), for an axis of S
    voxels, windows of in-painting have edges of S//6 to S//3 voxels, those of out-painting of S - 4S//7 to S - 3S//7.
    Windows keep a margin of 3 voxels to the border, or a smaller one if S < 14 does not allow that. Out-painting has at
    least one window; each further window has probability ``more``.
    """

    name = "paint"

    class Config(config.Config):
        """Options of ``paint``."""

        p: float = Field(0.9, ge=0, le=1, description="probability per image")
        inner: float = Field(0.2, ge=0, le=1, description="probability of in-painting instead of out-painting")
        more: float = Field(0.95, ge=0, le=1, description="probability of each further window")

    def sample(self, shape: torch.Size, rng: Rng) -> Fields:
        """Return the windows and the kind of painting.

        ``applied`` and ``inner`` are bool ``(B,)``, ``seed`` is int32 ``(B,)``, and ``start`` and ``stop`` are int64
        ``(B, 5, 3)``, corners (D, H, W) in voxels; unused windows are empty.
        """
        count = shape[0]
        applied = rng.bernoulli((count,), self.config.p)
        inner = rng.bernoulli((count,), self.config.inner)
        used = rng.bernoulli((count, WINDOWS), self.config.more)
        used[:, 0] |= ~inner
        start, edge = draw_windows(shape[2:], inner, rng)
        stop = start + edge * used.cumprod(1)[..., None]
        return {"applied": applied, "inner": inner, "seed": draw_seeds(rng, count), "start": start, "stop": stop}

    def apply_item_(self, item: Tensor, params: Fields) -> None:
        """Paint *item* ``(C, D, H, W)`` in place."""
        if not params["applied"]:
            return
        if loops := kernels_for(item, "corruptions.compiled"):
            corners = params["start"].numpy(), params["stop"].numpy()
            loops.paint(item.numpy(), *corners, bool(params["inner"]), int(params["seed"]))
        else:
            _paint_windows_(item, params)

    def apply_batch(self, image: Tensor, params: Fields) -> Tensor:
        """Return *image* ``(B, C, D, H, W)`` painted."""
        noise = uniform_like(params["seed"], image)
        inside = window_mask(params["start"], params["stop"], image.shape[2:])
        painted = (inside == per_item(params["inner"])) & per_item(params["applied"])
        return torch.where(painted, noise, image)


def _paint_windows_(item: Tensor, params: Fields) -> None:
    """Implement ``compiled.paint`` by tensor operations on slices."""
    corners = zip(params["start"].tolist(), params["stop"].tolist(), strict=True)
    windows = [(slice(None), *map(slice, start, stop)) for start, stop in corners if start < stop]
    if params["inner"]:
        noise = uniform_like(params["seed"], item)
        contents = [noise[window] for window in windows]
    else:
        contents = [item[window].clone() for window in windows]
        uniform_(item.view(-1), params["seed"])
    for window, content in zip(windows, contents, strict=True):
        item[window] = content


def draw_windows(size: torch.Size, inner: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
    """Draw start and edge ``(B, 5, 3)`` of windows in images of *size* (D, H, W), for in-painting where *inner*."""
    lengths, bounds = _edge_bounds(size)
    low, high = bounds[inner.long(), None].expand(-1, WINDOWS, -1, -1).unbind(-1)
    edge = integers_between(rng, low, high)
    room = lengths - edge
    margin = (room // 2).clamp_(max=MARGIN)
    return integers_between(rng, margin, room - margin), edge


@lru_cache(maxsize=8)
def _edge_bounds(size: torch.Size) -> tuple[Tensor, Tensor]:
    """Return *size* as a tensor, and edges ``(outer or inner, axis, minimum or maximum)``."""
    outer = [(s - 4 * s // 7, s - 3 * s // 7) for s in size]
    inner = [(max(s // 6, 1), max(s // 3, 1)) for s in size]
    return torch.tensor(size), torch.tensor([outer, inner])


def window_mask(start: Tensor, stop: Tensor, size: torch.Size) -> Tensor:
    """Return bool ``(B, 1, D, H, W)``: True inside any of the windows *start* to *stop* ``(B, N, 3)``."""
    inside = []
    for axis, length in enumerate(size):
        position = torch.arange(length, device=start.device)
        inside.append((position >= start[..., axis, None]) & (position < stop[..., axis, None]))
    mask = torch.zeros(len(start), *size, dtype=torch.bool, device=start.device)
    for depth, row, column in zip(*(along.unbind(1) for along in inside), strict=True):
        mask |= depth[:, :, None, None] & row[:, None, :, None] & column[:, None, None, :]
    return mask[:, None]
