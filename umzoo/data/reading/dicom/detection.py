"""Whether a file is DICOM: by its preamble, or, because some archives omit it, by its first elements."""

from __future__ import annotations

from pathlib import Path

_SUFFIXES = (".dcm", ".ima", ".dicom")
_LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")
_SHORT = (b"AE", b"CS", b"DA", b"LO", b"SH", b"TM", b"UI", b"UL", b"US", b"PN", b"ST")
_FIRST_GROUPS = (2, 8)
_LONGEST = 1 << 10


def is_dicom(path: Path) -> bool:
    """Whether the file starts as DICOM does, or has the usual suffix and is not empty."""
    try:
        with path.open("rb") as file:
            start = file.read(2048)
    except OSError:
        return False
    if start[128:132] == b"DICM":
        return True
    return bool(start) and (path.suffix.lower() in _SUFFIXES or _starts_with_elements(start))


def _starts_with_elements(start: bytes) -> bool:
    """Whether two data elements of the first groups follow each other, little endian."""
    place, last = 0, (0, 0)
    for _ in range(2):
        tag = (
            int.from_bytes(start[place : place + 2], "little"),
            int.from_bytes(start[place + 2 : place + 4], "little"),
        )
        kind = start[place + 4 : place + 6]
        if tag[0] not in _FIRST_GROUPS or tag <= last:
            return False
        if kind in _SHORT:
            length, head = _number(start, place + 6, 2), 8
        elif kind in _LONG:
            length, head = _number(start, place + 8, 4), 12
        else:
            length, head = _number(start, place + 4, 4), 8
        if length > _LONGEST or length % 2:
            return False
        place, last = place + head + length, tag
    return True


def _number(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(data[place : place + size], "little")
