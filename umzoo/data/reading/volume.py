"""Read the volumes of one scan, in canonical axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.formats import NIBABEL_SUFFIXES, suffix_of
from umzoo.data.reading.frames import Frames
from umzoo.data.reading.geometry import Grid, Spacing, canonical
from umzoo.data.reading.nibabel_frames import read_nibabel
from umzoo.data.reading.reader_client import open_apart
from umzoo.data.reading.refusal import Reason, Refused, guarded
from umzoo.data.reading.scan_source import DEFAULT_READING, Reading, ScanSource


@dataclass(frozen=True)
class Volume:
    """Physical values ``(D, H, W)`` in LPS, *spacing* in mm (D, H, W), and the volume's frame in its file.

    *grid* is the file's own, ``(i, j, k)``; *hounsfield* is whether its header declares HU.
    """

    voxels: NDArray[Any]
    spacing: Spacing
    grid: Grid
    frame: int = 0
    frames: int = 1
    notes: tuple[str, ...] = ()
    hounsfield: bool = False


def read_volumes(scan: ScanSource, reading: Reading = DEFAULT_READING) -> Iterator[Volume]:
    """Yield the volumes of *scan*: one, or one per frame or channel.

    nibabel reads NIfTI, Analyze and MGH in this process; other formats are read in a separate process.
    Of more than ``max_frames`` frames, ``max_frames`` evenly spaced ones are read, with a note in each.

    Raises:
        Refused: if the file cannot be read or is not a volume.
    """
    with guarded(scan.files):
        frames = _open(scan, reading)
    yield from volumes_of(frames, scan.files, reading)


def volumes_of(frames: Frames, files: Sequence[str] = (), reading: Reading = DEFAULT_READING) -> Iterator[Volume]:
    """Yield the volumes of opened *frames*, whose *files* are named in refusals; see :func:`read_volumes`."""
    count = frames.shape[3] if len(frames.shape) > 3 else 1
    grid = Grid(frames.shape[:3], frames.affine)  # type: ignore[arg-type]
    chosen = np.unique(np.linspace(0, count - 1, min(count, reading.max_frames)).round().astype(int))
    notes = frames.notes + ((f"uses {len(chosen)} of {count} frames, evenly spaced",) if len(chosen) < count else ())
    for index in map(int, chosen):
        with guarded(files):
            voxels = frames.read(index)
        voxels, filled = _finite(voxels) if reading.nan == "fill" else (voxels, ())
        voxels, spacing, note = canonical(voxels, frames.affine)
        all_notes = (*notes, *filled, *((note,) if note else ()))
        yield Volume(voxels, spacing, grid, index, count, all_notes, frames.hounsfield)


def _finite(voxels: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """*voxels* with NaN and infinity replaced by the smallest finite value, and a note if there were any."""
    if not np.issubdtype(voxels.dtype, np.floating):
        return voxels, ()
    finite = np.isfinite(voxels)
    bad = int(finite.size - np.count_nonzero(finite))
    if bad in (0, finite.size):
        return voxels, ()
    low = voxels[finite].min()
    return np.where(finite, voxels, low), (f"{bad} of {finite.size} voxels are NaN or infinite: filled with {low:g}",)


def read_grid(scan: ScanSource) -> tuple[NDArray[Any], Grid]:
    """Return the voxels ``(i, j, k)`` of a *scan* of one volume in their stored orientation, and their grid.

    Label maps are allowed.

    Raises:
        Refused: if the file cannot be read, or has several volumes.
    """
    with guarded(scan.files):
        frames = _open(scan, labels=True)
    if len(frames.shape) > 3 and frames.shape[3] > 1:
        raise Refused(Reason.VECTOR, f"the file has {frames.shape[3]} volumes, expected one")
    with guarded(scan.files):
        voxels = frames.read(0)
    return voxels, Grid(voxels.shape, frames.affine)


def _open(scan: ScanSource, reading: Reading = DEFAULT_READING, labels: bool = False) -> Frames:
    if not scan.dicom and suffix_of(scan.files[0]) in NIBABEL_SUFFIXES:
        return read_nibabel(scan.files[0], labels)
    return open_apart(scan, reading, labels)
