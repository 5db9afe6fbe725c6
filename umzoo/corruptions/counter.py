"""Counter-based noise: a pure function of a recorded seed and the position, equal on every device.

The mixing is that of integer finalizers (Mueller, Wellons: multiply, xor-shift), on int32 because that is what
both CPUs and GPUs do fast; two 16-bit samples come out of each word.
"""

from __future__ import annotations

import torch
from torch import Tensor

from umzoo.fields import Rng

CHUNK = 1 << 16
"""Words hashed at a time on the CPU: scratch stays in L2."""

_WEYL, _FIRST, _SECOND = -1640531527, 0x7FEB352D, -2073254261


def draw_seeds(rng: Rng, count: int) -> Tensor:
    """Draw *count* seeds, int32 ``(count,)``."""
    return rng.integers((count,), 0, 2**31 - 1).to(torch.int32)


def words(seed: Tensor, start: int, stop: int) -> Tensor:
    """Return int32 ``(..., stop - start)``: uniform words at positions ``start:stop`` of streams *seed* ``(...)``."""
    counter = torch.arange(start, stop, dtype=torch.int32, device=seed.device)
    word = torch.add(seed.unsqueeze(-1), counter, alpha=_WEYL)
    shifted = torch.empty_like(word)
    word.bitwise_xor_(torch.bitwise_right_shift(word, 16, out=shifted)).mul_(_FIRST)
    word.bitwise_xor_(torch.bitwise_right_shift(word, 15, out=shifted)).mul_(_SECOND)
    # added, not xored: the shift is arithmetic, and xor would leave the sign bit 0
    return word.add_(torch.bitwise_right_shift(word, 16, out=shifted))


def below(seed: Tensor, count: int, bound: int) -> Tensor:
    """Return int32 ``(..., count)``: integers from 0, ..., bound - 1."""
    return words(seed, 0, count).bitwise_and_(2**31 - 1).remainder_(bound)


def uniform(seed: Tensor, count: int) -> Tensor:
    """Return float32 ``(..., count)`` from U(0, 1), in steps of 2^-16, never 0 or 1."""
    out = torch.empty(*seed.shape, count, device=seed.device)
    half_step = torch.tensor(0.5 + 2**-17)
    step = 2 * CHUNK if out.device.type == "cpu" else max(count, 1)
    for part, start in zip(out.split(step, dim=-1), range(0, count, step), strict=True):
        length = part.shape[-1]
        samples = words(seed, start // 2, start // 2 + (length + 1) // 2).view(torch.int16)[..., :length]
        torch.add(half_step, samples.to(torch.float32), alpha=2**-16, out=part)
    return out


def uniform_like(seed: Tensor, image: Tensor) -> Tensor:
    """Return U(0, 1) noise in the shape of *image*: an item ``(C, D, H, W)`` or, with seeds ``(B,)``, a batch."""
    return uniform(seed, image[0].numel() if seed.ndim else image.numel()).view(image.shape)


def normal_like(seed: Tensor, image: Tensor) -> Tensor:
    """Return N(0, 1) noise in the shape of *image*; see :func:`uniform_like`. Largest value: 4.3."""
    return uniform_like(seed, image).mul_(2).sub_(1).erfinv_().mul_(2**0.5)


def integers_between(rng: Rng, low: Tensor, high: Tensor) -> Tensor:
    """Draw int64 from low, ..., high, both inclusive, for each element of *low* and *high* (same shape)."""
    span = high - low + 1
    return low + (rng.uniform(low.shape) * span).long().minimum(span - 1)
