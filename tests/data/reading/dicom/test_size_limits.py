"""Small DICOM files that would become large, or claim to be: refused in one line, before memory is taken."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from umzoo.data.reading import size_limits as limits
from umzoo.data.reading.dicom import size_limits as bounds
from umzoo.data.reading.dicom.header import read_header
from umzoo.data.reading.dicom.stack import _evened
from umzoo.data.reading.refusal import Refused

EXPLICIT, IMPLICIT, DEFLATED = b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1.99"
ITEM, ITEM_OPEN, ITEM_END, END = (
    struct.pack("<HHI", 0xFFFE, *it) for it in [(0xE000, 0), (0xE000, 0xFFFFFFFF), (0xE00D, 0), (0xE0DD, 0)]
)
SHARED, FRAMES, REFERENCED = (0x5200, 0x9229), (0x5200, 0x9230), (0x0008, 0x1115)


def element(tag, kind, value, claimed=None):
    value += (b"\0" if kind in (b"UI", b"OB", b"UN") else b" ") * (len(value) % 2)
    length = len(value) if claimed is None else claimed
    head = struct.pack("<HH2s", *tag, kind)
    return head + struct.pack("<HI" if kind in (b"SQ", b"UN", b"OB", b"UT") else "<H", *(
        (0, length) if kind in (b"SQ", b"UN", b"OB", b"UT") else (length,)
    )) + value  # fmt: skip


def implicit(tag, value):
    return struct.pack("<HHI", *tag, len(value)) + value


def file_of(syntax, content):
    meta = element((2, 0x10), b"UI", syntax)
    return bytes(128) + b"DICM" + element((2, 0), b"UL", struct.pack("<I", len(meta))) + meta + content


def deflated(content):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


IMAGE = b"".join(
    element(*it)
    for it in [
        ((0x08, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.2"),
        ((0x08, 0x60), b"CS", b"CT"),
        ((0x20, 0x32), b"DS", b"0\\0\\0"),
        ((0x20, 0x37), b"DS", b"1\\0\\0\\0\\1\\0"),
        ((0x28, 0x10), b"US", b"\x04\x00"),
        ((0x28, 0x11), b"US", b"\x04\x00"),
        ((0x28, 0x30), b"DS", b"1\\1"),
        ((0x28, 0x100), b"US", b"\x10\x00"),
    ]
)
PLAIN = element((8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.2") + element((8, 0x60), b"CS", b"CT")


def nested(depth, leaf):
    for _ in range(depth):
        leaf = ITEM_OPEN + element(REFERENCED, b"SQ", leaf, 0xFFFFFFFF) + END + ITEM_END
    return element(REFERENCED, b"SQ", leaf, 0xFFFFFFFF) + END


BOMBS = {
    "compressed zeros": (file_of(DEFLATED, deflated(IMAGE + element((9, 1), b"UN", bytes(1 << 24)))), "it unpacks to"),
    "compressed items": (file_of(DEFLATED, deflated(IMAGE + element(FRAMES, b"SQ", ITEM * 20_000, 0xFFFFFFFF) + END)),
                         "more elements than"),
    "compressed, cut short": (file_of(DEFLATED, deflated(IMAGE)[:-9]), "truncated"),
    "compressed twice": (file_of(DEFLATED, deflated(file_of(DEFLATED, deflated(IMAGE)))), "not a DICOM file"),
    "items of frames": (file_of(EXPLICIT, IMAGE + element(FRAMES, b"SQ", ITEM * 50_000)), "(5200,9230) is too large"),
    "items shared": (file_of(EXPLICIT, IMAGE + element(SHARED, b"SQ", ITEM * 50_000)), "(5200,9229) is too large"),
    "a value of many numbers": (file_of(EXPLICIT, IMAGE + element((0x54, 0x10), b"UN", b"1\\" * 200_000)),
                                "(0054,0010) is too large"),
    "a place of many numbers": (file_of(IMPLICIT, implicit((8, 0x60), b"CT") + implicit((0x20, 0x32), b"1\\" * 200_000)
                                        + implicit((0x28, 0x10), b"\4\0")), "(0020,0032) is too large"),
    "a number of frames of many numbers": (file_of(IMPLICIT, implicit((8, 0x60), b"CT")
                                                   + implicit((0x28, 8), b"1\\" * 200_000)), "element (0028,0008) is"),
    "frames without end": (file_of(EXPLICIT, IMAGE + element((0x28, 8), b"IS", b"900000000")
                                   + element((0x18, 0x88), b"DS", b"1")), "declares 900000000 frames"),
    "frames that are not described": (file_of(EXPLICIT, IMAGE + element((0x28, 8), b"IS", b"5000")
                                              + element(FRAMES, b"SQ", ITEM * 5_000)), "of the slices is missing"),
    "pixels that are not there": (file_of(EXPLICIT, IMAGE.replace(b"US\x02\x00\x04\x00", b"US\x02\x00\xff\xff")),
                                  "declares 8.0 GiB of voxels, the file has"),
    "nested": (file_of(EXPLICIT, PLAIN + nested(900, b"")), "recursion"),
    "nested around much": (file_of(EXPLICIT, PLAIN + nested(900, ITEM_OPEN + element((9, 1), b"UN", bytes(1 << 19))
                                                            + ITEM_END)), "recursion"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), BOMBS.values(), ids=BOMBS.keys())
def test_small_files_do_not_become_large(tmp_path, monkeypatch, content, reason):
    monkeypatch.setattr(limits, "free_memory", lambda: 1 << 40)
    monkeypatch.setattr(bounds, "FREE_PARTS", 5_000)
    monkeypatch.setattr(bounds, "_UNPACKED", 1 << 22)
    (tmp_path / "a.dcm").write_bytes(content)
    tracemalloc.start()
    problem = read_header(str(tmp_path / "a.dcm")).problem
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason in str(problem) and "\n" not in str(problem)
    assert len(content) < 1 << 20 and peak < 1 << 27


@pytest.mark.parametrize("claimed", [0xFFFFFFFE, 0x7FFFFFFE, 1 << 24])
def test_a_length_that_is_claimed_takes_no_memory(tmp_path, claimed):
    (tmp_path / "a.dcm").write_bytes(file_of(EXPLICIT, IMAGE + element((0x28, 0x30), b"UN", b"", claimed)))
    tracemalloc.start()
    with bounds._Bounded((tmp_path / "a.dcm").open("rb", buffering=0), 500, 500) as stream:
        assert len(stream.read(claimed)) == (tmp_path / "a.dcm").stat().st_size
    read_header(str(tmp_path / "a.dcm"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 24


def test_a_compressed_file_is_read_like_any_other(tmp_path):
    (tmp_path / "a.dcm").write_bytes(file_of(EXPLICIT, IMAGE))
    (tmp_path / "b.dcm").write_bytes(file_of(DEFLATED, deflated(IMAGE)))
    plain, packed = (read_header(str(tmp_path / name)) for name in ("a.dcm", "b.dcm"))
    assert plain.problem is packed.problem is None and plain.planes[0].size == packed.planes[0].size == (4, 4)


def test_even_places_that_would_be_too_many():
    """One slice far away among many that nearly touch."""
    places = np.array([0, 1e-3, 2e-3, 3e-3, 1e6])
    with pytest.raises(Refused, match="times as many as before"):
        _evened(np.zeros((5, 64, 64), np.int16), places)


def test_what_a_header_says_is_told_in_one_line(tmp_path):
    (tmp_path / "a.dcm").write_bytes(file_of(EXPLICIT, IMAGE.replace(b"CT", b"\n\x1b")))
    problem = str(read_header(str(tmp_path / "a.dcm")).problem)
    assert problem.startswith("not a volume: DICOM") and "\n" not in problem and "\x1b" not in problem
