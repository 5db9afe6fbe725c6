"""Label maps of a scan, resampled to its image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from umzoo.data.reading.geometry import Grid
from umzoo.data.reading.refusal import Refused
from umzoo.data.reading.scan_source import ScanSource
from umzoo.data.reading.volume import read_grid
from umzoo.errors import DataError
from umzoo.scans.resample import move
from umzoo.scans.scan import Scan


def load_labels(path: Path | str, scan: Scan) -> Tensor:
    """Read the label map *path* of *scan*, resampled to its image, int64 ``(D, H, W)``.

    Raises:
        DataError: if it cannot be read, is not a label map, or is not on the grid of the scan.
    """
    name = Path(path).name
    try:
        labels, grid = read_grid(ScanSource((str(Path(path)),), name, "", ""))
    except Refused as why:
        raise DataError(f"labels '{name}' cannot be used: {why}") from None
    return scan.from_original(_onto(labels, grid, scan, name))


def _onto(labels: Any, grid: Grid, scan: Scan, name: str) -> Any:
    """*labels* on the scan's own grid; their file may store the axes in another order."""
    if grid.shape == scan.original.shape and np.allclose(grid.affine, scan.original.affine, atol=1e-2):
        return labels
    same_place = np.allclose(_corners(grid), _corners(scan.original), atol=1e-1)
    if sorted(grid.shape) != sorted(scan.original.shape) or not same_place:
        raise DataError(
            f"labels '{name}' are not on the grid of '{scan.name}': shapes {grid.shape} and {scan.original.shape},"
            f" spacing {grid.spacing} and {scan.original.spacing} mm; export them on the grid of the scan"
        )
    return move(labels, grid, scan.original, nearest=True)


def _corners(grid: Grid) -> Any:
    """Minimum and maximum corner of *grid* in mm."""
    index = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape], (1,))).reshape(4, -1)
    places = (grid.affine @ index)[:3]
    return np.stack([places.min(axis=1), places.max(axis=1)])
