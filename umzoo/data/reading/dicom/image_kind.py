"""Groups images of one patient, series, contrast and orientation, up to rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from umzoo.data.reading.dicom.file_planes import KIND
from umzoo.data.reading.dicom.plane import Plane, parted

_DIRECTION = 2e-3
_RELATIVE = 1e-2
_SPACING = 1e-3
_LEAST_ALIKE = 4
_REPLACEABLE = {
    KIND.index(keyword)
    for keyword in ("FrameOfReferenceUID", "SeriesNumber", "SeriesDescription", "TemporalPositionIdentifier")
}


def alike(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Group *planes* by kind, orientation, pixel size and contrast, up to rounding."""
    distinguishing = _distinguishing_parts(planes)
    parts = parted(planes, lambda plane: tuple(plane.kind[number] for number in distinguishing))
    for same in (_same_plane, _same_contrast):
        parts = [finer for part in parts for finer in _part(part, same)]
    return parts


def _distinguishing_parts(planes: Sequence[Plane]) -> list[int]:
    """The parts of the kind that distinguish volumes: not those that change every few images, as by anonymization."""
    values = zip(*(plane.kind for plane in planes), strict=True)
    new = {number for number, column in enumerate(values) if _LEAST_ALIKE * len(set(column)) > len(planes)}
    return [number for number in range(len(planes[0].kind)) if number not in new or number not in _REPLACEABLE]


def _part(planes: Sequence[Plane], same: Callable[[Plane, Plane], bool]) -> list[list[Plane]]:
    parts: list[list[Plane]] = []
    for plane in planes:
        home = next((part for part in parts if same(part[0], plane)), None)
        if home is None:
            parts.append([plane])
        else:
            home.append(plane)
    return parts


def _same_plane(a: Plane, b: Plane) -> bool:
    turned = max(abs(x - y) for x, y in zip(a.orientation, b.orientation, strict=True))
    scaled = max(abs(x - y) / max(x, y) for x, y in zip(a.spacing, b.spacing, strict=True))
    return turned <= _DIRECTION and scaled <= _SPACING


def _same_contrast(a: Plane, b: Plane) -> bool:
    pairs = zip(a.contrast, b.contrast, strict=True)
    return all(abs(x - y) <= max(1e-3, _RELATIVE * max(abs(x), abs(y))) for x, y in pairs)
