"""Descriptions of an image and of a file from the header, before pixels are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from umzoo.data.reading.refusal import Reason, Refused

_OFF_UNIT = 0.02


@dataclass(frozen=True)
class Plane:
    """One image: that of a file, or a frame of a multi-frame file.

    Args:
        frame: number within the file.
        size: rows and columns.
        spacing: mm between rows and between columns; empty if it is not recorded.
        orientation: directions of a row and of a column in LPS, six numbers; empty if not recorded.
        position: of the first pixel in mm, LPS; empty if not recorded.
        kind: texts shared by all images of one volume: patient, study, series, image type, kernel, echo, ...
        contrast: numbers that agree within 1 % in one volume: echo time, b-value, kVp; -1 if not recorded.
        acquisition: number of the acquisition.
        more: texts that distinguish images at one position, the most reliable first.
        trigger: cardiac trigger delay in ms; -1 if not recorded.
        order: instance number, or number of the frame.
        rescale: slope and intercept; empty if not recorded.
        depth: slice thickness and slice spacing in mm, as recorded; -1 if not recorded.
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
    """The images of one file; *problem* is the reason if they cannot be part of a volume."""

    file: str
    modality: str = ""
    patient: str = ""
    series: str = ""
    planes: tuple[Plane, ...] = ()
    problem: Refused | None = None
    notes: tuple[str, ...] = ()


def parted(planes: Iterable[Plane], key: Callable[[Plane], Hashable]) -> list[list[Plane]]:
    """Return *planes* in groups of equal *key*, in their order."""
    parts: dict[Hashable, list[Plane]] = defaultdict(list)
    for plane in planes:
        parts[key(plane)].append(plane)
    return list(parts.values())


def more_of(plane: Plane, number: int) -> str:
    """Return item *number* of ``plane.more``; empty if there is none."""
    return plane.more[number] if number < len(plane.more) else ""


def check(plane: Plane) -> None:
    """Refuse a *plane* whose position or pixel size is missing.

    Raises:
        Refused: if so; the error names the missing element.
    """
    if len(plane.position) != 3 or len(plane.orientation) != 6:
        raise Refused(Reason.NOT_A_VOLUME, "the position or orientation of the slices is missing")
    row, column = np.reshape(plane.orientation, (2, 3))
    if max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)) > _OFF_UNIT:
        raise Refused(Reason.GEOMETRY, "the row and column directions are not perpendicular unit vectors")
    if len(plane.spacing) != 2 or min(plane.spacing) <= 0:
        raise Refused(Reason.GEOMETRY, "the pixel size of the slices is missing or invalid (PixelSpacing)")
    if plane.rescale and plane.rescale[0] == 0:
        raise Refused(Reason.UNREADABLE, "RescaleSlope is 0: all values would be equal")
