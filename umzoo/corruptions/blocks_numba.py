"""The block law of local shuffling as a compiled loop. Needs numba (extra ``fast``)."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


@numba.njit(inline="always")
def _mix(state: Any) -> Any:
    """SplitMix64's output for *state* (Steele, Lea and Flood, 2014)."""
    state = (state ^ (state >> _S30)) * _MIX_1
    state = (state ^ (state >> _S27)) * _MIX_2
    return state ^ (state >> _S31)


@numba.njit(inline="always")
def _below(bits: Any, bound: int) -> int:
    """An integer from 0, ..., *bound* - 1 made of the upper 32 *bits*."""
    return np.int64(((bits >> _S32) * np.uint64(bound)) >> _S32)


@numba.njit(cache=True, nogil=True)
def shuffle_blocks(
    image: NDArray[np.float32], out: NDArray[np.float32], blocks: int, depth: int, height: int, width: int, seed: int
) -> None:
    """Write *image* ``(D, H, W)`` into its copy *out*, shuffled in *blocks* of at most *depth* x *height* x *width*.

    Blocks are visited from the last to the first and only fill voxels that no later block has filled, which is what
    overwriting in order would leave; each voxel draws from what is left of the block, without replacement.
    """
    size_d, size_h, size_w = image.shape
    filled = np.zeros(image.shape, np.bool_)
    pool = np.empty(depth * height * width, image.dtype)
    state = _mix(np.uint64(seed) + _GOLDEN)
    for _ in range(blocks):
        state += _GOLDEN
        first = _mix(state)
        state += _GOLDEN
        second = _mix(state)
        state += _GOLDEN
        third = _mix(state)
        ed = 1 + _below(first, depth)
        eh = 1 + _below(first << _S32, height)
        ew = 1 + _below(second, width)
        d0 = _below(second << _S32, size_d - ed + 1)
        h0 = _below(third, size_h - eh + 1)
        w0 = _below(third << _S32, size_w - ew + 1)
        left = 0
        for d in range(d0, d0 + ed):
            for h in range(h0, h0 + eh):
                for w in range(w0, w0 + ew):
                    pool[left] = image[d, h, w]
                    left += 1
        for d in range(d0, d0 + ed):
            for h in range(h0, h0 + eh):
                for w in range(w0, w0 + ew):
                    if not filled[d, h, w]:
                        filled[d, h, w] = True
                        state += _GOLDEN
                        pick = _below(_mix(state), left)
                        left -= 1
                        out[d, h, w] = pool[pick]
                        pool[pick] = pool[left]
