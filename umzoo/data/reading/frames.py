"""An opened file: its frames and their affine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.refusal import Reason, Refused


@dataclass(frozen=True)
class Frames:
    """Frames ``(i, j, k)`` of a file, read one at a time, and their common affine (index to mm, LPS).

    *voxels* are all of them, ``(i, j, k)`` or ``(i, j, k, frame)``, if they are in memory.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    read: Any
    notes: tuple[str, ...] = ()
    hounsfield: bool = False
    voxels: NDArray[Any] | None = None

    @classmethod
    def of_array(
        cls, voxels: NDArray[Any], affine: NDArray[np.float64], notes: tuple[str, ...] = (), hounsfield: bool = False
    ) -> Frames:
        """Frames of *voxels* ``(i, j, k)`` or ``(i, j, k, frame)``."""
        read = (lambda index: voxels[..., index]) if voxels.ndim > 3 else (lambda index: voxels)
        return cls(voxels.shape, affine, read, notes, hounsfield, voxels)


def refuse_flat(shape: tuple[int, ...]) -> None:
    """Refuse a *shape* that is not a volume's.

    Raises:
        Refused: if it has less than three axes of more than one voxel.
    """
    if len(shape) < 3 or min(shape[:3]) <= 1:
        raise Refused(Reason.TWO_D, f"{' x '.join(map(str, shape))} voxels")
