"""Contact sheet: the middle axial slice of each volume, with the intensity window of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.store.reader import Store
from umzoo.data.store.record import VolumeRecord
from umzoo.errors import DataError

COLUMNS = 8
TILES = 96


def contact_sheet(store: Store, out: Path, tiles: int = TILES) -> tuple[int, list[str]]:
    """Draw at most *tiles* volumes of *store*, evenly spread over modalities and sources, to the PNG *out*.

    Slices are in radiological orientation: anterior up, the patient's left on the right.

    Returns:
    The number of volumes shown, and a line with the reason for each that could not be read.
    """
    from matplotlib.figure import Figure

    slices, problems = _slices(store, choose(store, tiles))
    shown = list(slices)
    columns = min(COLUMNS, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure: Any = Figure(figsize=(1.9 * columns, 2.25 * rows), facecolor="black", layout="constrained")
    for place, index in enumerate(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        record = store.records[index]
        axes.imshow(slices[index], cmap="gray", vmin=0, vmax=1, aspect=record.spacing[1] / record.spacing[2])
        axes.set_title(caption(record), fontsize=6, color="white", pad=2)
        axes.set_axis_off()
    figure.savefig(out, dpi=110)
    return len(shown), problems


def _slices(store: Store, chosen: list[int]) -> tuple[dict[int, NDArray[np.float32]], list[str]]:
    """The middle slices of *chosen* volumes, and the problems of those that cannot be read."""
    slices: dict[int, NDArray[np.float32]] = {}
    problems: list[str] = []
    for index in chosen:
        try:
            slices[index] = middle_slice(store, index)
        except DataError as error:
            problems.append(str(error))
    return slices, problems


def middle_slice(store: Store, index: int) -> NDArray[np.float32]:
    """The middle axial slice ``(H, W)`` of volume *index*, windowed to [0, 1]."""
    return axial_slice(store, index, store.records[index].shape[0] // 2)


def axial_slice(store: Store, index: int, row: int) -> NDArray[np.float32]:
    """The axial slice *row* ``(H, W)`` of volume *index*, windowed to [0, 1]."""
    record = store.records[index]
    _, height, width = record.shape
    plane = store.read(index, (row, 0, 0), (row + 1, height, width))[0]
    low, high = record.stored_window
    windowed: NDArray[np.float32] = np.clip((plane.astype(np.float32) - low) / (high - low), 0, 1)
    return windowed


def choose(store: Store, tiles: int) -> list[int]:
    """Return the indices of up to *tiles* volumes: in turn from each modality and source, then sorted by these."""
    groups = store.records.groups("modality", "source")
    turns = [
        (turn, key, index) for key, members in groups.items() for turn, index in enumerate(members[:tiles].tolist())
    ]
    return [index for _, index in sorted((key, index) for _, key, index in sorted(turns)[:tiles])]


def caption(record: VolumeRecord) -> str:
    """Return two lines on *record*: modality and data set, size and spacing."""
    size = "x".join(map(str, record.shape))
    spacing = sorted(set(record.spacing))
    mm = f"{spacing[0]:.3g}" if len(spacing) == 1 else "x".join(f"{value:.3g}" for value in record.spacing)
    kind = " ".join(part for part in (record.modality or "unknown", record.contrast) if part)
    return f"{kind} · {record.source[:18]}\n{size} · {mm} mm"
