"""Orientation and order of axes as weights want them, from the (D, H, W) = (z, y, x), LPS, of every prepared volume."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from umzoo.data.reading.geometry import Grid, Spacing
from umzoo.errors import ConfigError
from umzoo.spec import InputSpec

_LETTERS = ("LR", "PA", "SI")


class InputAxes:
    """Turns images and grids from canonical axes to those of *spec*.

    Raises:
        ConfigError: if *spec* names no orientation or order of axes.
    """

    def __init__(self, spec: InputSpec) -> None:
        orientation = spec.orientation.upper()
        if len(orientation) != 3 or any(c not in pair for c, pair in zip(orientation, _LETTERS, strict=True)):
            raise ConfigError(f"orientation is one of L or R, P or A, S or I for x, y, z, got '{spec.orientation}'")
        if sorted(spec.axes) != ["x", "y", "z"]:
            raise ConfigError(f"axes is an order of x, y and z such as 'zyx', got '{spec.axes}'")
        self.order = tuple("zyx".index(axis) for axis in spec.axes)
        self.flipped = tuple(
            position for position, axis in enumerate(spec.axes) if orientation["xyz".index(axis)] not in "LPS"
        )

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
