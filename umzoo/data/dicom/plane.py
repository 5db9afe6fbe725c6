"""What is known of one image and of one file before its pixels are read."""

from __future__ import annotations

from dataclasses import dataclass

from umzoo.data.refusal import Refused


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


def is_multiple(header: Header) -> bool:
    """Whether the file holds several frames."""
    return len(header.planes) > 1
