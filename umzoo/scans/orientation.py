"""Converts prepared volumes, (D, H, W) = (z, y, x) in LPS, to the orientation and order of axes of the weights."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from umzoo.data.reading.geometry import Grid, Spacing
from umzoo.errors import ConfigError
from umzoo.spec import InputSpec

_LETTERS = ("LR", "PA", "SI")
AS_STORED = "as stored"
"""The ``orientation`` of weights that were trained on arrays in file order: x, y and z are the axes of the file."""


class InputAxes:
    """Turns images and grids from canonical axes to those of *spec*.

    Args:
        spec: the expected input of the network.
        stored: the scan's own grid ``(i, j, k)``, for weights that were trained on scans as they are stored.

    Raises:
        ConfigError: if the orientation or the order of axes in *spec* is invalid.
    """

    def __init__(self, spec: InputSpec, stored: Grid) -> None:
        if sorted(spec.axes) != ["x", "y", "z"]:
            raise ConfigError(f"axes must be an order of x, y and z such as 'zyx', got '{spec.axes}'")
        axes = _stored_axes(stored) if spec.orientation == AS_STORED else _named_axes(spec.orientation)
        chosen = [axes["xyz".index(letter)] for letter in spec.axes]
        self.order = tuple(2 - axis for axis, _ in chosen)
        self.flipped = tuple(position for position, (_, back) in enumerate(chosen) if back)

    def turn(self, image: Tensor) -> Tensor:
        """Turn an image ``(D, H, W)`` of canonical axes."""
        turned = image.permute(self.order)
        return turned.flip(self.flipped) if self.flipped else turned

    def turn_grid(self, grid: Grid) -> Grid:
        """The grid of a turned image."""
        shape = tuple(grid.shape[axis] for axis in self.order)
        index = np.zeros((4, 4))
        index[3, 3] = 1
        for position, axis in enumerate(self.order):
            back = position in self.flipped
            index[axis, position] = -1 if back else 1
            index[axis, 3] = shape[position] - 1 if back else 0
        return grid.moved(shape, index)

    def canonical_spacing(self, spacing: Spacing | None) -> Spacing | None:
        """*spacing* of a turned image, in the order of canonical axes."""
        if spacing is None:
            return None
        canonical = [0.0, 0.0, 0.0]
        for position, axis in enumerate(self.order):
            canonical[axis] = spacing[position]
        depth, height, width = canonical
        return depth, height, width


def _named_axes(orientation: str) -> list[tuple[int, bool]]:
    """For x, y and z: the canonical axis (0 towards L, 1 to P, 2 to S), and whether it is reversed."""
    letters = orientation.upper()
    if len(letters) != 3 or any(c not in pair for c, pair in zip(letters, _LETTERS, strict=True)):
        raise ConfigError(
            f"orientation must be '{AS_STORED}', or L/R, P/A and S/I for x, y and z such as 'LPS', got '{orientation}'"
        )
    return [(axis, letter not in "LPS") for axis, letter in enumerate(letters)]


def _stored_axes(grid: Grid) -> list[tuple[int, bool]]:
    """The same for the axes of *grid*."""
    from nibabel.orientations import io_orientation

    return [(int(axis), direction < 0) for axis, direction in io_orientation(grid.affine)]
