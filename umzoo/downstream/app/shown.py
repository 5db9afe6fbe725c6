"""What the page shows of a scan, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation
from numpy.typing import NDArray

from umzoo.data.reading.geometry import Grid

EDGE = 512
"""Pixels of a slice along its longer side."""


@dataclass(frozen=True)
class Shown:
    """A scan in the network's spacing, and what the network says of its voxels; rows are axial, from the feet up.

    Attributes:
        gray: uint8 ``(D, H, W)``, the first channel.
        pixel: mm of a pixel, (H, W).
        labels: class of each voxel, uint8 ``(D, H, W)``; None if voxels are not classified.
        colors: uint8 ``(D, H, W, 3)``, features as colors; None if they are not shown.
    """

    gray: NDArray[np.uint8]
    pixel: tuple[float, float]
    labels: NDArray[np.uint8] | None = None
    colors: NDArray[np.uint8] | None = None

    @property
    def slices(self) -> int:
        """How many there are."""
        return len(self.gray)

    @property
    def first(self) -> int:
        """The slice to begin with: that of most labels, or the middle one."""
        if self.labels is None or not self.labels.any():
            return self.slices // 2
        return int((self.labels > 0).sum(axis=(1, 2)).argmax())

    def slice(self, row: int) -> NDArray[np.uint8]:
        """Return the scan's slice *row*, uint8 ``(h, w)``: anterior up, the patient's left on the right."""
        return self._resized(self.gray[row], smooth=True)

    def labeled(self, row: int) -> dict[int, NDArray[np.bool_]]:
        """Return the mask ``(h, w)`` of each class but 0 that slice *row* shows."""
        if self.labels is None:
            return {}
        plane = self._resized(self.labels[row], smooth=False)
        return {int(number): plane == number for number in np.unique(plane) if number}

    def colored(self, row: int) -> NDArray[np.uint8] | None:
        """Return the colors of slice *row*, uint8 ``(h, w, 3)``."""
        return None if self.colors is None else self._resized(self.colors[row], smooth=True)

    def _resized(self, plane: NDArray[np.uint8], smooth: bool) -> NDArray[np.uint8]:
        """*plane* with square pixels, and a longer side of :data:`EDGE`."""
        from PIL import Image

        height, width = plane.shape[0] * self.pixel[0], plane.shape[1] * self.pixel[1]
        scale = EDGE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        return np.asarray(Image.fromarray(plane).resize(size, how), np.uint8)


def upright(array: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """Return *array* ``(D, H, W, ...)`` on *grid* with axes that run upwards, backwards and to the patient's left."""
    return np.asarray(apply_orientation(array, _orientation(grid)), np.uint8)


def pixel_of(grid: Grid) -> tuple[float, float]:
    """Return the mm of a pixel (H, W) of what :func:`upright` gives."""
    spacing = dict(zip(_orientation(grid)[:, 0].astype(int).tolist(), grid.spacing, strict=True))
    return spacing[1], spacing[2]


def grays(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return *image* ``(D, H, W)`` as gray levels between its 0.5th and 99.5th percentile."""
    low, high = np.percentile(image[:: max(1, len(image) // 64)], (0.5, 99.5))
    scaled = 255 * ((image - low) / max(float(high - low), 1e-6)).clip(0, 1)
    return np.asarray(scaled, np.uint8)


def _orientation(grid: Grid) -> NDArray[np.float64]:
    """Axis and direction of each array axis among (z, y, x) of LPS, as nibabel writes them."""
    orientation: NDArray[np.float64] = io_orientation(grid.affine)
    orientation[:, 0] = 2 - orientation[:, 0]
    return orientation
