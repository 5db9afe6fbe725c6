"""Named tensors that flow through a step, and random draws that land on the right device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Fields = dict[str, Tensor]
"""A batch, a view or recorded draws: names to tensors. Images are ``(B, C, D, H, W)``.

Fields of a training batch:
``image``     float32 ``(B, 1, D, H, W)`` in [0, 1], the window of the volume's intensity rule;
``mean, std`` float32 ``(B,)``, statistics of the volume in that [0, 1] space;
``scale``     int64 ``(B,)``, index into ``data.scales``, -1 where it must not be asked;
``modality``  int64 ``(B,)``, index into the store's modalities, -1 where unknown;
``source``    int64 ``(B,)``, index into the store's sources; ``volume`` int64 ``(B,)``, row in the index;
``spacing``   float32 ``(B, 3)``, mm per voxel of the crop after resizing (D, H, W);
``width``     float32 ``(B,)``, half-width in voxels of the filter that made crops equally sharp, 0 where none did;
``progress``  float32 ``()``, share of the training done, and ``step`` int64 ``()``.
"""


class Rng:
    """Random draws for one step.

    Parameters (few numbers) are always drawn by a CPU generator and moved, so they are the same on every
    device; bulk draws (``noise``) come from a generator of the device itself.

    Args:
        keys: integers that identify the stream, such as ``(seed, step, rank)``: equal keys, equal draws.
        device: where the results land.
    """

    def __init__(self, *keys: int, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.keys = tuple(int(key) for key in keys)
        parameters, bulk = np.random.SeedSequence(self.keys).generate_state(2, np.uint64) >> np.uint64(1)
        self._parameters = torch.Generator().manual_seed(int(parameters))
        self._bulk = torch.Generator(self.device).manual_seed(int(bulk))

    def fork(self, *keys: int) -> Rng:
        """A stream of its own, a pure function of this stream's keys and *keys*."""
        return Rng(*self.keys, *keys, device=self.device)

    def host(self) -> Rng:
        """This stream, with results that stay on the CPU."""
        return self if self.device.type == "cpu" else Rng(*self.keys)

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw float32 from U[low, high)."""
        draw = torch.rand(tuple(shape), generator=self._parameters)
        return (draw * (high - low) + low).to(self.device, non_blocking=True)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Draw float32 from N(0, 1)."""
        return torch.randn(tuple(shape), generator=self._parameters).to(self.device, non_blocking=True)

    def integers(self, shape: Sequence[int], low: int, high: int) -> Tensor:
        """Draw int64 from low, ..., high, both inclusive.

        Raises:
            ValueError: if there is none.
        """
        if low > high:
            raise ValueError(f"there is no integer from {low} to {high} to draw")
        return torch.randint(low, high + 1, tuple(shape), generator=self._parameters).to(self.device, non_blocking=True)

    def bernoulli(self, shape: Sequence[int], p: float) -> Tensor:
        """Draw booleans that are true with probability *p*."""
        return (torch.rand(tuple(shape), generator=self._parameters) < p).to(self.device, non_blocking=True)

    def permutation(self, n: int) -> Tensor:
        """Draw a random order of 0, ..., n-1."""
        return torch.randperm(n, generator=self._parameters).to(self.device, non_blocking=True)

    def noise(self, shape: Sequence[int]) -> Tensor:
        """Draw float32 from U[0, 1) in bulk, by the device's own generator."""
        return torch.rand(tuple(shape), generator=self._bulk, device=self.device)

    def gaussian_noise(self, shape: Sequence[int]) -> Tensor:
        """Draw float32 from N(0, 1) in bulk, by the device's own generator."""
        return torch.randn(tuple(shape), generator=self._bulk, device=self.device)


def to_device(fields: Fields, device: torch.device) -> Fields:
    """Move every field, without waiting where the memory is pinned."""
    return {name: value.to(device, non_blocking=True) for name, value in fields.items()}
