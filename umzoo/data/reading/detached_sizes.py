"""Checks the file sizes of a detached header: readers would return wrong data or uninitialized memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from umzoo.data.reading.detached_headers import NAMED, NRRD, header_text, shortened
from umzoo.data.reading.refusal import Reason, Refused

_ENCODING = re.compile(r"^encoding:[ \t]*(.*)$", re.MULTILINE | re.IGNORECASE)
_PACKED = re.compile(r"^[ \t]*CompressedData[ \t]*=[ \t]*(true|1)", re.MULTILINE | re.IGNORECASE)
_SKIP = (
    re.compile(r"^[ \t]*HeaderSize[ \t]*=(.*)$", re.MULTILINE),
    re.compile(r"^byte ?skip:(.*)$", re.MULTILINE | re.IGNORECASE),
)
_LINES = re.compile(r"^line ?skip:(.*)$", re.MULTILINE | re.IGNORECASE)


def require_sizes(header: Path, files: Sequence[Path], claimed: int) -> None:
    """Refuse uncompressed data *files* whose size differs from their *header*.

    Args:
        header: header of NRRD or MetaImage.
        files: the result of :func:`data_files`.
        claimed: bytes of all voxels.

    Raises:
        Refused: with both sizes.
    """
    nrrd = NAMED.get(header.suffix.lower()) is NRRD
    text = header_text(header, nrrd)
    packed = _field(text, _ENCODING).lower() not in ("", "raw") if nrrd else bool(_PACKED.search(text))
    skip, lines = (_field(text, pattern) or "0" for pattern in (_SKIP[nrrd], _LINES))
    if not files or packed or not skip.isdecimal() or lines != "0":
        return
    share, left = divmod(claimed, len(files))
    for file in files:
        there, wanted = file.stat().st_size, share + int(skip)
        if there != wanted or left:
            what = f"'{shortened(file.name)}' has {there} bytes"
            many = f"{len(files)} files of {wanted} bytes" if len(files) > 1 else f"{wanted} bytes"
            raise Refused(Reason.UNREADABLE, f"its data file {what}, expected {many}: correct the header")


def _field(text: str, pattern: re.Pattern[str]) -> str:
    found = pattern.search(text)
    return found[1].strip() if found else ""
