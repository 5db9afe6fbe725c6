"""Opens files with nibabel, without trusting their suffix, checksum and voxel offset."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.size_limits import require_claim

_PART = 1 << 22
_IN_MEMORY = 1 << 30
_PACKERS: dict[bytes, tuple[str, Callable[..., Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
}
_HEADER, _SIZES, _OFFSET = 352, slice(80, 92), slice(108, 112)
_IMPOSTORS = {
    b"version https://git-lfs": "a Git LFS pointer, not the data: run 'git lfs pull'",
    b"/annex/objects": "a git-annex pointer, not the data: run 'git annex get'",
    b"<!doctype html": "a web page, not the data: download it again",
    b"<html": "a web page, not the data: download it again",
}


def load(path: str) -> Any:
    """The nibabel image in *path*; a packed file is recognized without its suffix, and its checksum is verified.

    Raises:
        Refused: if the file is a pointer or a web page, or corrupted.
    """
    import nibabel

    with Path(path).open("rb") as file:
        start = file.read(1024)
    for sign, what in _IMPOSTORS.items():
        if sign in start.lower():
            raise Refused(Reason.UNREADABLE, what)
    packer, opener = next((entry for sign, entry in _PACKERS.items() if start.startswith(sign)), ("", open))
    if packer:
        with damage_of(packer), opener(path, "rb") as file:
            start = file.read(1024)
    if _has_no_size(start):
        raise Refused(Reason.GEOMETRY, "the header gives a voxel size of 0")
    require_claim(_claimed(start), [Path(path)])
    single = path.lower().endswith((".nii", ".nii.gz", ".nii.bz2"))
    misnamed = (packer == "gzip") != path.lower().endswith(".gz") or packer == "bzip2"
    with nibabel.imageglobals.LoggingOutputSuppressor(), damage_of(packer):
        if single and (misnamed or _starts_too_soon(start) or (packer and _unpacked_size(path) < _IN_MEMORY)):
            return _from_bytes(_content(path, packer, opener))
        if packer:
            _verify(path, opener)
        return nibabel.load(path)


def _unpacked_size(path: str) -> int:
    """Unpacked bytes of a gzipped file, from its trailer modulo 2^32, but at least the bytes of the file."""
    with Path(path).open("rb") as file:
        packed = file.seek(0, 2)
        file.seek(max(0, packed - 4))
        return max(packed, int.from_bytes(file.read(4), "little"))


def _verify(path: str, opener: Callable[..., Any]) -> None:
    """Read a packed file to its end, to verify the checksum."""
    with opener(path, "rb") as file:
        while file.read(_PART):
            pass


@contextmanager
def damage_of(packer: str) -> Iterator[None]:
    """Refuse a packed file that is truncated or has a wrong checksum."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        if not packer or (isinstance(error, OSError) and error.errno):
            raise
        raise Refused(Reason.UNREADABLE, f"corrupted {packer} file ({error})") from None


def _from_bytes(content: bytes) -> Any:
    """The image in the *content* of a single file; a voxel offset within the header is corrected to its end."""
    import nibabel

    if content[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c"):  # 540, the size of the header of NIfTI-2
        return nibabel.Nifti2Image.from_bytes(content)
    if _starts_too_soon(content[:_HEADER]):
        offset = np.array(_HEADER, _float(content)).tobytes()
        content = content[: _OFFSET.start] + offset + content[_OFFSET.stop :]
    return nibabel.Nifti1Image.from_bytes(content)


def _content(path: str, packer: str, opener: Callable[..., Any]) -> bytes:
    """The content of a file, limited in size if it is packed."""
    with opener(path, "rb") as file:
        content: bytes = file.read(_IN_MEMORY + 1 if packer else -1)
    if packer and len(content) > _IN_MEMORY:
        if packer == "gzip":
            raise Refused(Reason.UNREADABLE, "corrupted gzip file (it unpacks to more bytes than its trailer states)")
        raise Refused(Reason.PACKED, f"{packer} file with more than {_IN_MEMORY >> 30} GiB of data: unpack it first")
    return content


def _claimed(start: bytes) -> int:
    """Bytes of voxels that a NIfTI-1 header of three dimensions claims; 0 for others."""
    if start[344:347] != b"n+1":
        return 0
    order = _float(start)[0]
    dim = np.frombuffer(start[40:56], f"{order}i2").astype(int)
    return int(max(0, dim[1:4].prod())) * int(np.frombuffer(start[72:74], f"{order}i2")[0]) // 8


def _starts_too_soon(start: bytes) -> bool:
    """Whether a single NIfTI-1 file has a voxel offset within the header, as some programs write."""
    return start[344:347] == b"n+1" and bool(np.frombuffer(start[_OFFSET], _float(start))[0] < _HEADER)


def _has_no_size(start: bytes) -> bool:
    """Whether a NIfTI-1 header has a voxel size of 0, which nibabel changes to 1, and no sform."""
    if start[344:347] not in (b"n+1", b"ni1") or any(start[254:256]):
        return False
    return not np.frombuffer(start[_SIZES], _float(start)).all()


def _float(start: bytes) -> str:
    """The float format of a NIfTI-1 header, by the byte order of its first number (348)."""
    return "<f4" if start[0] == 0x5C else ">f4"
