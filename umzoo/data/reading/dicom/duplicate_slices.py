"""Duplicate slices: same position, same header, same pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from umzoo.data.reading.dicom.plane import Plane
from umzoo.data.reading.dicom.repeated_positions import number_positions
from umzoo.data.reading.reader_client import pixels_apart


def without_copies(planes: Sequence[Plane]) -> tuple[list[Plane], list[Plane]]:
    """Split *planes* into distinct images and their copies in other files; pixels are read only if necessary."""
    if len({plane.file for plane in planes}) < len(planes):
        return list(planes), []
    groups: dict[Any, list[Plane]] = defaultdict(list)
    for plane, number in zip(planes, number_positions(planes).tolist(), strict=True):
        groups[number, plane.order, plane.acquisition, plane.more, plane.trigger, plane.rescale].append(plane)
    own: list[Plane] = []
    copied: list[Plane] = []
    for same in groups.values():
        seen: set[str] = set()
        for plane in same:
            digest = pixels_apart(plane.file) if len(same) > 1 else ""
            (copied if digest in seen else own).append(plane)
            seen.add(digest)
    return own, copied
