"""Positions of pickle and numbers in a file of ``torch.save``: a zip archive, or before PyTorch 1.6 one stream."""

from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any, BinaryIO

from umzoo.pickles.objects import PLAIN, SIZES, TENSORS, Unpickler

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MAX_RECORDS = 200_000
KNOWN = PLAIN | TENSORS


class NotTensorsError(ValueError):
    """The file was not written by ``torch.save``, or cannot be read; the message gives the reason."""


Places = dict[str, list[int]]
"""First byte and number of bytes of each storage."""


def read_tensors(stream: BinaryIO) -> tuple[Any, Places, set[str]]:
    """Return the content of the file *stream*, the positions of its storages, and the names of skipped objects.

    Raises:
        NotTensorsError: if it was not written by ``torch.save``, or cannot be read.
        pickle.UnpicklingError: if its pickle is corrupted.
    """
    start = stream.read(4)
    stream.seek(0)
    return _from_zip(stream) if start == b"PK\x03\x04" else _from_stream(stream)


def _from_zip(stream: BinaryIO) -> tuple[Any, Places, set[str]]:
    with zipfile.ZipFile(stream) as archive:
        records = {record.filename: record for record in archive.infolist()}
        roots = [name.removesuffix("data.pkl") for name in records if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(roots) != 1 or len(records) > MAX_RECORDS:
            raise NotTensorsError("its zip archive must have exactly one data.pkl")
        if f"{roots[0]}constants.pkl" in records:
            raise NotTensorsError("it is a TorchScript program, which cannot be read without running it")
        if any(record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 1 for record in records.values()):
            raise NotTensorsError("its records are compressed or encrypted, unlike those of torch.save: save it again")
        if f"{roots[0]}byteorder" in records and archive.read(f"{roots[0]}byteorder") != b"little":
            raise NotTensorsError("its numbers are big-endian: save it again on another machine")
        content = io.BytesIO(archive.read(f"{roots[0]}data.pkl"))
    places = {
        name.removeprefix(f"{roots[0]}data/"): [_start(stream, record.header_offset), record.file_size]
        for name, record in records.items()
        if name.startswith(f"{roots[0]}data/")
    }
    unpickler = Unpickler(content, KNOWN)
    return unpickler.load(), places, unpickler.passed


def _start(stream: BinaryIO, header: int) -> int:
    """First byte of the record whose local header begins at byte *header*."""
    stream.seek(header + 26)
    lengths = stream.read(4)
    return header + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")


def _from_stream(stream: BinaryIO) -> tuple[Any, Places, set[str]]:
    if not _is_torch_stream(stream):
        raise NotTensorsError("it was not written by torch.save, or its beginning is corrupted")
    system = _plain(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise NotTensorsError("its numbers are big-endian: save it again on another machine")
    unpickler = Unpickler(stream, KNOWN)
    content, keys = unpickler.load(), _plain(stream)
    return content, _follow(stream, keys, unpickler.storages), unpickler.passed


def _is_torch_stream(stream: BinaryIO) -> bool:
    try:
        return bool(_plain(stream) == MAGIC and _plain(stream) == PROTOCOL)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001 - text or numbers read as a pickle lead to any error
        return False


def _plain(stream: BinaryIO) -> Any:
    return Unpickler(stream, {}, strict=True).load()


def _follow(stream: BinaryIO, keys: Any, dtypes: dict[str, str]) -> Places:
    """Positions of consecutive storages, each preceded by the number of its values."""
    if not isinstance(keys, list):
        raise pickle.UnpicklingError("its list of storages is missing")
    places: Places = {}
    start = stream.tell()
    for key in map(str, keys):
        stream.seek(start)
        values = int.from_bytes(stream.read(8), "little")
        places[key] = [start + 8, values * SIZES[dtypes[key]]]
        start += 8 + places[key][1]
    return places
