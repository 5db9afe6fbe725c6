"""Size limits of a DICOM file: unpacked bytes, elements, values and frames."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from umzoo.data.reading.dicom.elements import numbers
from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.size_limits import require_claim, size

MOST_PARTS, FREE_PARTS, PART = 1 << 21, 100_000, 2
"""Maximum elements and values of a file; less in a small one: ``FREE_PARTS``, and one for each ``PART`` bytes."""
MOST_FRAMES = 1 << 16
_UNPACKED, _RATIO, _BLOCK = 1 << 25, 100, 1 << 20
_MOST_VALUE = 1 << 18
_ITEMS, _ITEMS_OF_FRAME = 4096, 64
_TOO_MANY = "it has more elements than an image header can have"
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_META = bytes(128) + b"DICM\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"


class _DeflatedError(Exception):
    """The rest of the stream is compressed."""


class _Bounded(io.BufferedReader):
    """A file that limits the number of reads, because every element is read, and never returns more than it has."""

    name = "the file"  # pydicom asks for it

    def __init__(self, raw: Any, stored: int, whole: int) -> None:
        super().__init__(raw)
        self._left, self._whole = min(MOST_PARTS, FREE_PARTS + stored // PART), whole

    @property
    def used_up(self) -> bool:
        """Whether there were too many reads."""
        return self._left < 0

    def read(self, count: int | None = -1, /) -> bytes:
        self._left -= 1
        if self.used_up:
            raise Refused(Reason.UNREADABLE, _TOO_MANY)
        if count is None or count < 0:  # pydicom reads the whole rest only if it is compressed
            raise _DeflatedError
        return super().read(count if count < _BLOCK else min(count, max(0, self._whole - self.tell())))


def read_bounded(file: str, **options: Any) -> Any:
    """The result of ``pydicom.dcmread`` for *file*, DICOM or not, with *options*.

    Raises:
        Refused: if it has too many elements, or is compressed and expands too much.
        Exception: any exception of pydicom for corrupted files.
    """
    stored = Path(file).stat().st_size
    with _Bounded(io.FileIO(file), stored, stored) as stream:
        try:
            return _read(stream, options)
        except _DeflatedError:
            content = _META + _inflated(stream, stored)
    with _Bounded(io.BytesIO(content), stored, len(content)) as stream:
        return _read(stream, options)


def _read(stream: _Bounded, options: dict[str, Any]) -> Any:
    import pydicom

    try:
        return pydicom.dcmread(stream, force=True, **options)
    except Exception:
        if stream.used_up:  # pydicom may raise another exception
            raise Refused(Reason.UNREADABLE, _TOO_MANY) from None
        raise


def _inflated(stream: io.BufferedReader, stored: int) -> bytes:
    """Decompress the rest of *stream*, of a file of *stored* bytes."""
    most = max(_UNPACKED, _RATIO * stored)
    unpacker, content = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    while not unpacker.eof:
        block = unpacker.unconsumed_tail or io.BufferedReader.read(stream, _BLOCK)
        if not block:
            raise Refused(Reason.UNREADABLE, "truncated DICOM file (its compressed part is incomplete)")
        content += unpacker.decompress(block, _BLOCK)
        if len(content) > most:
            raise Refused(Reason.UNREADABLE, f"it unpacks to more than {size(most)}, the file has {size(stored)}")
    return bytes(content)


def require_bounded(file: str, data: Any, used: Sequence[Any]) -> None:
    """Refuse *file* if the *used* elements of *data* are too large, or declare more data than the file can have.

    Raises:
        Refused: if so; the error names the element or size that is too large.
    """
    frames = _number(data, "NumberOfFrames", 1)
    if frames > MOST_FRAMES:
        raise Refused(Reason.UNREADABLE, f"its header declares {frames:.0f} frames, more than {MOST_FRAMES}")
    for key in used:
        if key in data:
            _require_small(data.get_item(key), frames)
    counts = (frames, *(_number(data, key, 0) for key in ("Rows", "Columns")), _number(data, "SamplesPerPixel", 1))
    require_claim(int(math.prod(counts) * math.ceil(_number(data, "BitsAllocated", 16) / 8)), [Path(file)])


def _number(data: Any, key: str, default: float) -> float:
    if key not in data or (data.get_item(key).value and len(str(data.get_item(key).value)) > _MOST_VALUE):
        return default
    return max(0.0, (numbers(data, key) or (default,))[0])


def _require_small(element: Any, frames: float) -> None:
    """Refuse a raw *element* that is too large for an image of *frames* frames."""
    if not isinstance(element.value, bytes):
        return
    items = sum(map(element.value.count, _ITEM_TAGS))
    if element.VR == "SQ" or items > _ITEMS:
        too_large = items > _ITEMS + _ITEMS_OF_FRAME * frames
    else:
        too_large = len(element.value) > _MOST_VALUE
    if too_large:
        raise Refused(Reason.UNREADABLE, f"header element {element.tag} is too large ({size(len(element.value))})")
