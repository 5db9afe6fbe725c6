"""Headers that name the files of their voxels: NRRD, MetaImage and Analyze. They may name files of their own folder."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from umzoo.data.reading.hdr_signature import refuse_foreign
from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.regular_files import oddity

_HEADER_BYTES = 1 << 20
_MOST_FILES = 1 << 16
_META = re.compile(r"^[ \t]*ElementDataFile\b[^=:\n]*[=:][ \t]*(.*)$", re.MULTILINE)
NRRD = re.compile(r"^data ?file:[ \t]*(.*)$", re.MULTILINE | re.IGNORECASE)
NAMED = {".mhd": _META, ".mha": _META, ".nhdr": NRRD, ".nrrd": NRRD}
_MOST_LINE, _MOST_NAME = 512, 255
_FREE = re.compile(rb"#|[^:]*:=")
_PATTERN = re.compile(r"(?P<pattern>\S*%\S*)(?P<range>(?:\s+-?\d+){0,4})\s*")
_NUMBER = re.compile(r"%(0?\d{0,2})[diu]")
_LIST = re.compile(r"list(\s+\d+)?\s*", re.IGNORECASE)


def data_files(header: Path) -> tuple[Path, ...]:
    """The data files of *header* with the voxels, in order; none if the voxels are in the header's file.

    Raises:
        Refused: if one is outside the header's folder, missing or not a file, or a pattern of names is invalid.
    """
    suffix = header.suffix.lower()
    if header.name.lower().endswith((".hdr", ".hdr.gz")):
        refuse_foreign(header)
        names = [_image_of(header)]
    elif suffix in NAMED:
        names = list(_names(header, NAMED[suffix]))
    else:
        return ()
    return tuple(_checked(header, name) for name in names)


def refuse_long_lines(file: Path) -> None:
    """Refuse an NRRD whose header has fields of more than 512 bytes: the NRRD library of ITK writes beyond its buffers.

    Comments and pairs ``key:=value`` may be long. The format is recognized by the first bytes of the file, as by ITK.

    Raises:
        Refused: if so.
    """
    with file.open("rb") as stream:
        begins, nrrd = True, stream.read(4) == b"NRRD"
        while nrrd and (line := stream.readline(_MOST_LINE)):
            if begins and not line.strip(b"\r\n"):
                return
            if begins and len(line) == _MOST_LINE and not _FREE.match(line):
                raise Refused(Reason.UNREADABLE, f"its header has a field of more than {_MOST_LINE} bytes")
            begins = line.endswith(b"\n")


@contextmanager
def utf8_name(file: str) -> Iterator[str]:
    """Yield a name of the header or image *file* that is UTF-8 and short, as SimpleITK needs; a link, if necessary.

    Raises:
        Refused: see :func:`data_files`.
    """
    if _is_short(file):
        yield file
        return
    header = Path(file)
    with tempfile.TemporaryDirectory() as folder:
        for data in data_files(header):
            link = Path(folder) / data.relative_to(header.parent)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(data)
        named = Path(folder) / f"scan{header.suffix}"
        named.symlink_to(header)
        yield str(named)


def _is_short(name: str) -> bool:
    """Whether *name* is UTF-8 and fits into the buffers that ITK uses for names of corrupted NRRD files."""
    try:
        return len(name.encode()) <= _MOST_NAME
    except UnicodeEncodeError:
        return False


def _image_of(header: Path) -> str:
    """Name of the image file next to an Analyze *header*."""
    stem = header.name[: header.name.lower().rindex(".hdr")]
    names = [f"{stem}{suffix}" for suffix in (".img", ".IMG", ".img.gz")]
    return next((name for name in names if os.path.lexists(header.with_name(name))), names[0])


def _names(header: Path, key: re.Pattern[str]) -> Iterator[str]:
    """File names in *header*, as written there."""
    text = header_text(header, key is NRRD)
    found = key.search(text)
    if found is None and key is _META:
        raise Refused(Reason.UNREADABLE, "its header does not name the voxel data (ElementDataFile is missing)")
    named = found[1].strip() if found else "LOCAL"
    if found is None or named.upper() == "LOCAL":
        return
    if _LIST.fullmatch(named):
        yield from (line.strip() for line in text[found.end() :].splitlines() if line.strip())
    elif "%" in named:
        yield from _numbered(named)
    else:
        yield named


def header_text(header: Path, nrrd: bool) -> str:
    """The lines of *header*; those of *nrrd* end with an empty one."""
    with header.open("rb") as file:
        start = file.read(_HEADER_BYTES).replace(b"\r\n", b"\n")
    if nrrd:
        head, end, _ = start.partition(b"\n\n")
        if not end and len(start) > _HEADER_BYTES // 2:
            raise Refused(Reason.UNREADABLE, f"its header does not end within {_HEADER_BYTES >> 20} MiB")
        start = head
    else:
        start = start.replace(b"\r", b"\n")
    return start.decode("utf-8", "surrogateescape")


def _numbered(named: str) -> Iterator[str]:
    """The file names that a pattern such as ``slice%03d.raw 1 20 1`` expands to."""
    found = _PATTERN.fullmatch(named)
    parts = _NUMBER.split(found["pattern"]) if found else []
    if found is None or len(parts) != 3 or "%" in parts[0] + parts[2]:
        why = f"its header names data files '{shortened(named)}': expected one %d, as in 'slice%03d.raw 1 20 1'"
        raise Refused(Reason.UNREADABLE, why)
    first, last, step = ([int(number) for number in found["range"].split()] + [1, 1, 1])[:3]
    if not found["range"] or step == 0 or abs((last - first) // step) > _MOST_FILES:
        raise Refused(
            Reason.UNREADABLE, f"'{shortened(named)}' has no valid range of file numbers: expected first, last and step"
        )
    for number in range(first, last + (1 if step > 0 else -1), step):
        yield f"{parts[0]}{f'%{parts[1]}d' % number}{parts[2]}"


def _checked(header: Path, name: str) -> Path:
    """The file *name* of the folder of *header*."""
    parts = re.split(r"[/\\]", name)
    if parts[0] == "" or ".." in parts or re.match(r"[A-Za-z]:|~", name):
        raise Refused(Reason.UNREADABLE, f"its data file '{shortened(name)}' is outside its folder: move it there")
    file = header.parent / name
    problem = oddity(file)
    if problem == "no such file":
        raise Refused(Reason.UNREADABLE, f"its data file '{shortened(name)}' is missing: put it next to the header")
    if problem:
        raise Refused(Reason.UNREADABLE, f"its data file '{shortened(name)}' is {problem}")
    return file


def shortened(name: str) -> str:
    """*name* in at most 60 characters."""
    return name if len(name) <= 60 else f"{name[:28]}...{name[-28:]}"
