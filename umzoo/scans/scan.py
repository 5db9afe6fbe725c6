"""A scan as a network expects it, which knows the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umzoo.data.reading.geometry import Grid, Spacing
from umzoo.errors import DataError
from umzoo.scans.original_grid import OriginalImage
from umzoo.scans.resample import move


@dataclass(frozen=True, eq=False)
class Scan:
    """What a network sees of one scan.

    Args:
        image: float32 ``(C, D, H, W)`` in orientation, spacing and intensity space of the weights.
        grid: where the voxels of *image* lie.
        original: the scan's own grid ``(i, j, k)``.
        modality: one a channel, such as ``("ct",)``.
        name: name of the file or folder, without its path.
        source: data set it belongs to.
        subject: the person it shows, as far as the files tell.
        dtype: type of the scan's own voxels.
        header: its NIfTI header, None in another format.
        notes: what a user should know of how it was read.
    """

    image: Tensor
    grid: Grid
    original: Grid
    modality: tuple[str, ...]
    name: str = ""
    source: str = ""
    subject: str = ""
    dtype: np.dtype[Any] = np.dtype(np.float32)
    header: Any = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.image.shape))
        return f"Scan({self.name!r}, {'+'.join(self.modality)}, image {size}, spacing {self.spacing} mm)"

    @property
    def spacing(self) -> Spacing:
        """Millimeters along D, H and W of the image."""
        return self.grid.spacing

    def to_original(self, values: Tensor | NDArray[Any], dtype: Any = None) -> OriginalImage:
        """Bring *values* found on the image back onto the scan's own grid.

        Labels (integers, booleans) take the nearest value, and are kept in the smallest type that holds them. Other
        maps, such as probabilities, are interpolated linearly and kept as float32.

        Args:
            values: ``(D, H, W)``, or ``(n, D, H, W)`` for n maps.
            dtype: type of the result, such as the scan's own ``scan.dtype``; whole numbers are rounded to.

        Raises:
            DataError: if *values* do not lie on the image.
        """
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
        if array.shape[-3:] != self.grid.shape or array.ndim not in (3, 4):
            raise DataError(f"expected a map (D, H, W) or (n, D, H, W) of {self.grid.shape}, got {array.shape}")
        labels = array.dtype.kind in "biu"
        array = array.astype(_smallest(array) if labels else np.float32)
        maps = [move(one, self.grid, self.original, labels) for one in array.reshape(-1, *self.grid.shape)]
        moved = maps[0] if array.ndim == 3 else np.stack(maps, axis=-1)
        return OriginalImage(_cast(moved, dtype), self.original, self.header)

    def from_original(self, labels: NDArray[Any]) -> Tensor:
        """Bring *labels* ``(i, j, k)`` of the scan's own grid onto the image, int64 ``(D, H, W)``.

        Of each voxel the label with the greatest share is taken: every label is interpolated linearly as a map.

        Raises:
            DataError: if *labels* are of another shape, or no whole numbers.
        """
        if labels.shape != self.original.shape:
            raise DataError(f"labels of {labels.shape} do not lie on '{self.name}' of {self.original.shape} voxels")
        if not np.array_equal(labels, np.rint(labels)):
            raise DataError(f"labels of '{self.name}' must be whole numbers, got fractions")
        kinds = np.unique(labels)
        best = np.full(self.grid.shape, -1, np.float32)
        answer = np.zeros(self.grid.shape, np.int64)
        for kind in kinds:
            share = move((labels == kind).astype(np.float32), self.original, self.grid, False)
            answer[share > best] = int(kind)
            np.maximum(best, share, out=best)
        return torch.from_numpy(answer)


def _smallest(labels: NDArray[Any]) -> np.dtype[Any]:
    """The smallest integer type of NIfTI that holds *labels*."""
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    fitting = (
        t for t in (np.uint8, np.int16, np.uint16, np.int32) if np.iinfo(t).min <= low and high <= np.iinfo(t).max
    )
    return np.dtype(next(fitting, np.int64))


def _cast(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    if dtype is None:
        return values
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        values = np.clip(np.rint(values), np.iinfo(kind).min, np.iinfo(kind).max)
    return values.astype(kind)
