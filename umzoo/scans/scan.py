"""A scan in the input space of a network, with the mapping back to its original grid."""

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
    """A scan in the input space of a network.

    Args:
        image: float32 ``(C, D, H, W)`` in orientation, spacing and intensity space of the weights.
        grid: grid of the voxels of *image*.
        original: the scan's own grid ``(i, j, k)``.
        modality: one per channel, such as ``("ct",)``.
        name: name of the file or folder, without its path.
        source: data set it belongs to.
        subject: the person it shows, if the files name one.
        dtype: type of the scan's own voxels.
        header: its NIfTI header, None in another format.
        notes: notes for the user on how it was read.
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
        """Resample *values* on the image to the scan's own grid.

        Labels (integers, booleans) take the nearest value, in the smallest type that can represent them. Other
        maps, such as probabilities, are interpolated linearly as float32.

        Args:
            values: ``(D, H, W)``, or ``(n, D, H, W)`` for n maps.
            dtype: type of the result, such as the scan's own ``scan.dtype``; values are rounded for integer types.

        Raises:
            DataError: if *values* do not have the shape of the image.
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
        """Resample *labels* ``(i, j, k)`` of the scan's own grid to the image, int64 ``(D, H, W)``.

        Every label is interpolated linearly as a map, and each voxel gets the label with the highest value.

        Raises:
            DataError: if *labels* have another shape, or are not integers.
        """
        if labels.shape != self.original.shape:
            raise DataError(f"expected labels of the shape of '{self.name}' {self.original.shape}, got {labels.shape}")
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
    """The smallest integer type of NIfTI that can represent *labels*."""
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
