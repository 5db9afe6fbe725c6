"""Counter-based noise: a pure function of a recorded seed and the position, equal on every device.

The mixing is that of integer finalizers (multiply and xor-shift, as in MurmurHash3), on int32 because that is what
both CPUs and GPUs do fast; two 16-bit samples come out of each word.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from umzoo.fields import Rng

CHUNK = 1 << 16
"""Words hashed at a time on the CPU: scratch stays in L2."""

STEP, FIRST, SECOND = -1640531527, 0x7FEB352D, -2073254261
HALF_STEP = 0.5 + 2**-17


def draw_seeds(rng: Rng, count: int) -> Tensor:
    """Draw *count* seeds, int32 ``(count,)``."""
    return rng.integers((count,), 0, 2**31 - 1).to(torch.int32)


def words(seed: Tensor, start: int, stop: int) -> Tensor:
    """Return int32 ``(..., stop - start)``: uniform words at positions ``start:stop`` of streams *seed* ``(...)``."""
    first = torch.add(seed, _wrap(start * STEP)).unsqueeze(-1)
    count = stop - start
    word = first + _steps(max(CHUNK, 1 << count.bit_length()), seed.device)[:count]
    shifted = torch.empty_like(word)
    word.bitwise_xor_(torch.bitwise_right_shift(word, 16, out=shifted)).mul_(FIRST)
    word.bitwise_xor_(torch.bitwise_right_shift(word, 15, out=shifted)).mul_(SECOND)
    # added, not xored: the shift is arithmetic, and xor would leave the sign bit 0
    return word.add_(torch.bitwise_right_shift(word, 16, out=shifted))


@functools.lru_cache(maxsize=4)
def _steps(count: int, device: torch.device) -> Tensor:
    return torch.arange(count, dtype=torch.int32, device=device) * STEP


def _wrap(value: int) -> int:
    """*value* modulo 2^32, as an int32."""
    return (value + 2**31) % 2**32 - 2**31


def below(seed: Tensor, count: int, bound: int) -> Tensor:
    """Return int32 ``(..., count)``: integers from 0, ..., bound - 1."""
    return words(seed, 0, count).bitwise_and_(2**31 - 1).remainder_(bound)


def uniform_(out: Tensor, seed: Tensor) -> Tensor:
    """Fill *out* ``(..., N)`` from U(0, 1), in steps of 2^-16, never 0 or 1; *seed* ``(...)`` has the leading axes."""
    half_step = torch.tensor(HALF_STEP)
    size = 2 * CHUNK if out.device.type == "cpu" else max(out.shape[-1], 1)
    for number, part in enumerate(out.split(size, dim=-1)):
        start, length = number * size // 2, part.shape[-1]
        part.copy_(words(seed, start, start + (length + 1) // 2).view(torch.int16)[..., :length])
        torch.add(half_step, part, alpha=2**-16, out=part)
    return out


def uniform_like(seed: Tensor, image: Tensor) -> Tensor:
    """Return U(0, 1) noise in the shape of *image*: an item ``(C, D, H, W)`` or, with seeds ``(B,)``, a batch."""
    noise = torch.empty(image.shape, device=image.device)
    uniform_(noise.view(*seed.shape, -1), seed)
    return noise


def normal_like(seed: Tensor, image: Tensor) -> Tensor:
    """Return N(0, 1) noise in the shape of *image*; see :func:`uniform_like`. Largest value: 4.3."""
    return uniform_like(seed, image).mul_(2).sub_(1).erfinv_().mul_(2**0.5)


def integers_between(rng: Rng, low: Tensor, high: Tensor) -> Tensor:
    """Draw int64 from low, ..., high, both inclusive, for each element of *low* and *high* (same shape)."""
    span = high - low + 1
    return low + (rng.uniform(low.shape) * span).long().minimum(span - 1)
