"""Recognizes ``.hdr`` files that are not Analyze or NIfTI: other programs use the suffix too."""

from __future__ import annotations

import gzip
from pathlib import Path

from umzoo.data.reading.nifti import damage_of
from umzoo.data.reading.refusal import Reason, Refused

_SIZES = (348, 540)
_SIGNS = {
    b"ENVI": "an ENVI header",
    b"!INTERFILE": "an Interfile header",
    b"INTERFILE": "an Interfile header",
    b"#?R": "a Radiance picture",
}


def refuse_foreign(header: Path) -> None:
    """Refuse the file *header* unless it begins with the header's size, as Analyze and NIfTI do.

    Raises:
        Refused: if it does not; the error names its format, if known.
    """
    packer, opener = ("gzip", gzip.open) if header.suffix.lower() == ".gz" else ("", open)
    with damage_of(packer), opener(header, "rb") as file:  # type: ignore[operator]
        start = file.read(64)
    if any(int.from_bytes(start[:4], order) in _SIZES for order in ("little", "big")):  # type: ignore[arg-type]
        return
    what = next((name for sign, name in _SIGNS.items() if start.lstrip().upper().startswith(sign)), "")
    detail = f"{what}, expected Analyze or NIfTI: convert it" if what else "its header is neither Analyze nor NIfTI"
    raise Refused(Reason.UNREADABLE, detail)
