"""What is known of one image and of one file before its pixels are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from umzoo.data.reading.refusal import Reason, Refused

_OFF_UNIT = 0.02


@dataclass(frozen=True)
class Plane:
    """One image, a file's, or a frame's of a multi-frame file.

    Args:
        frame: number within the file.
        size: rows and columns.
        spacing: mm between rows and between columns; empty if it is not recorded.
        orientation: directions of a row and of a column in LPS, six numbers; empty if not recorded.
        position: of the first pixel in mm, LPS; empty if not recorded.
        kind: what all images of one volume have in common: patient, study, series, image type, kernel, echo, ...
        contrast: numbers they have in common within 1 %: echo time, b-value, kVp; -1 where there is none.
        acquisition: number of the acquisition.
        more: what tells images of one position apart, the surest first.
        trigger: ms after the heart's trigger; -1 where there is none.
        order: instance number, or number of the frame.
        rescale: slope and intercept; empty if there is none.
        depth: mm of a slice, and from one slice to the next, as the header says; -1 if it does not.
    """

    file: str
    frame: int
    size: tuple[int, int]
    spacing: tuple[float, ...]
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    kind: tuple[str, ...]
    contrast: tuple[float, ...]
    acquisition: str
    more: tuple[str, ...]
    trigger: float
    order: int
    rescale: tuple[float, ...] = ()
    depth: tuple[float, float] = (-1.0, -1.0)


@dataclass(frozen=True)
class Header:
    """The images of one file; *problem* says why it has none for a volume."""

    file: str
    modality: str = ""
    patient: str = ""
    series: str = ""
    planes: tuple[Plane, ...] = ()
    problem: Refused | None = None
    notes: tuple[str, ...] = ()


def parted(planes: Iterable[Plane], key: Callable[[Plane], Hashable]) -> list[list[Plane]]:
    """Return *planes* in parts of equal *key*, in the order in which they come."""
    parts: dict[Hashable, list[Plane]] = defaultdict(list)
    for plane in planes:
        parts[key(plane)].append(plane)
    return list(parts.values())


def more_of(plane: Plane, number: int) -> str:
    """Return value *number* of what else tells images apart; empty where *plane* has none."""
    return plane.more[number] if number < len(plane.more) else ""


def check(plane: Plane) -> None:
    """Refuse a *plane* whose place or scale is not told.

    Raises:
        Refused: naming what is missing.
    """
    if len(plane.position) != 3 or len(plane.orientation) != 6:
        raise Refused(Reason.NOT_A_VOLUME, "the slices do not say where they lie (no position or orientation)")
    row, column = np.reshape(plane.orientation, (2, 3))
    if max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)) > _OFF_UNIT:
        raise Refused(Reason.GEOMETRY, "the directions of rows and columns are not perpendicular, or not of length 1")
    if len(plane.spacing) != 2 or min(plane.spacing) <= 0:
        raise Refused(Reason.GEOMETRY, "the slices do not say how large their pixels are (no PixelSpacing)")
    if plane.rescale and plane.rescale[0] == 0:
        raise Refused(Reason.UNREADABLE, "RescaleSlope is 0: all values would be equal")
