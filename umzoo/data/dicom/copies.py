"""Slices that are there twice: same place, same header, same pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from umzoo.data.dicom.elements import lenient
from umzoo.data.dicom.plane import Plane
from umzoo.data.dicom.repeats import number_positions


def without_copies(planes: Sequence[Plane]) -> tuple[list[Plane], list[Plane]]:
    """Part *planes* into one image of each, and copies of these in other files; pixels are read where it matters."""
    if len({plane.file for plane in planes}) < len(planes):
        return list(planes), []
    groups: dict[Any, list[Plane]] = defaultdict(list)
    for plane, number in zip(planes, number_positions(planes).tolist(), strict=True):
        groups[number, plane.order, plane.acquisition, plane.more, plane.trigger, plane.rescale].append(plane)
    own: list[Plane] = []
    copied: list[Plane] = []
    for same in groups.values():
        seen: set[bytes] = set()
        for plane in same:
            digest = _pixels(plane.file) if len(same) > 1 else b""
            (copied if digest in seen else own).append(plane)
            seen.add(digest)
    return own, copied


def _pixels(file: str) -> bytes:
    """A hash of the stored pixels of *file*, unpacked; of its name if they cannot be read."""
    import pydicom

    with lenient():
        try:
            data: Any = pydicom.dcmread(file, force=True)
            packed = data.file_meta.get("TransferSyntaxUID", "")
            stored = data.pixel_array.tobytes() if packed and packed.is_compressed else data.PixelData
        except Exception:  # noqa: BLE001 - it is told when the slice is read
            stored = file.encode(errors="surrogateescape")
    return blake2b(stored, digest_size=16).digest()
