from __future__ import annotations

import os

import numpy as np
import pytest

from umzoo.data.preparing.ledger import key_of
from umzoo.data.preparing.prepare import prepare
from umzoo.data.reading.detached_headers import data_files, refuse_long_lines, utf8_name
from umzoo.data.reading.refusal import Refused
from umzoo.data.reading.scan_source import DEFAULT_READING, ScanSource
from umzoo.data.reading.volume import read_grid
from umzoo.data.store.reader import Store

RNG = np.random.default_rng(0)
META = "ObjectType = Image\nNDims = 3\nDimSize = 28 24 20\nElementType = MET_SHORT\nElementDataFile"
NRRD = "NRRD0004\ntype: short\ndimension: 3\nsizes: 28 24 20\nencoding: raw\nendian: little\ndata file"


def write(folder, name, text, *parts):
    folder.mkdir(exist_ok=True)
    for part, content in parts:
        (folder / part).write_bytes(content)
    (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    return folder / name


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.mhd", f"{META} = {{}}\n"),
        ("a.mha", f"{META}: {{}}\n"),
        ("a.mhd", f"{META} = LIST\n{{}}\n"),
        ("a.nhdr", f"{NRRD}: {{}}\n\n"),
        ("a.nrrd", f"{NRRD}: {{}}\n\n"),
        ("a.nhdr", f"{NRRD.replace('data file', 'DataFile')}: LIST\n{{}}\n"),
    ],
)
def test_a_header_names_no_file_outside_its_folder(tmp_path, make_scan, name, text):
    secret = make_scan(1).tobytes()
    write(tmp_path, "secret.raw", "", ("secret.raw", secret))
    (tmp_path / "secret.raw").write_bytes(secret)
    for foreign in (str(tmp_path / "secret.raw"), "../secret.raw", "x/../../secret.raw", "..\\secret.raw", "C:/x.raw"):
        header = write(tmp_path / "in", name, text.format(foreign))
        with pytest.raises(Refused, match="outside its folder"):
            data_files(header)
        report = prepare([tmp_path / "in"], tmp_path / "store", workers=0)
        assert report.count("refused") == 1 and len(Store(tmp_path / "store")) == 0
    header = write(tmp_path / "in", name, text.format("own.raw"), ("own.raw", secret))
    assert data_files(header) == (tmp_path / "in" / "own.raw",)


def test_spaces_lists_and_patterns_are_followed(tmp_path):
    spaced = write(tmp_path / "a", "a.mhd", f"{META} = my scan.raw\r\n", ("my scan.raw", b"x"))
    assert [file.name for file in data_files(spaced)] == ["my scan.raw"]
    listed = write(
        tmp_path / "b", "a.nhdr", f"{NRRD}: LIST 2\na 1.raw\na 2.raw\n", ("a 1.raw", b"x"), ("a 2.raw", b"y")
    )
    assert [file.name for file in data_files(listed)] == ["a 1.raw", "a 2.raw"]
    numbered = write(tmp_path / "c", "a.mhd", f"{META} = s%02d.raw 3 7 2\n", *((f"s0{n}.raw", b"x") for n in (3, 5, 7)))
    assert [file.name for file in data_files(numbered)] == ["s03.raw", "s05.raw", "s07.raw"]
    inside = write(tmp_path / "d", "a.mha", f"{META} = LOCAL\n\xff")
    assert data_files(inside) == ()


@pytest.mark.parametrize(
    "pattern", ["%s%s%s%n 1 4 1", "a%d%n 1 4 1", "a%99999d 1 4 1", "a%d 1 999999999 1", "a%d 1 4 0"]
)
@pytest.mark.parametrize("name, head, end", [("a.mhd", f"{META} = ", "\n"), ("a.nhdr", f"{NRRD}: ", "\n\n")])
def test_patterns_that_are_none_are_refused(tmp_path, name, head, end, pattern):
    with pytest.raises(Refused):
        data_files(write(tmp_path / "in", name, head + pattern + end))


@pytest.mark.parametrize(
    "name, text, sizes",
    [
        ("a.mhd", f"{META} = s0.raw\n", [26779]),
        ("a.mhd", f"{META} = s0.raw\n", [26980]),
        ("a.mhd", f"{META} = LIST\n" + "".join(f"s{k}.raw\n" for k in range(15)), [1344] * 20),
        ("a.mhd", f"{META} = LIST\n" + "".join(f"s{k}.raw\n" for k in range(20)), [1344] * 18 + [1000, 1688]),
        ("a.mhd", f"{META} = s%d.raw 0 18 1\n", [1344] * 20),
        ("a.nhdr", f"{NRRD}: s0.raw\n\n", [26980]),
        ("a.nhdr", f"{NRRD}: s0.raw\n\n".replace("encoding", "byte skip: 50\nencoding"), [26880]),
    ],
)
def test_data_files_of_another_size_than_the_header_says_are_refused(tmp_path, name, text, sizes):
    parts = [(f"s{k}.raw", RNG.integers(0, 255, size, np.uint8).tobytes()) for k, size in enumerate(sizes)]
    with pytest.raises(Refused, match=r"its data file 's\d+.raw' has \d+ bytes, expected .* bytes: correct the header"):
        read_grid(ScanSource((str(write(tmp_path / "in", name, text, *parts)),), name, "set", "someone"))


@pytest.mark.parametrize(
    "name, text, skip",
    [
        ("a.mhd", f"{META} = s.raw\n".replace("NDims", "HeaderSize = 100\nNDims"), 100),
        ("a.mhd", f"{META} = s.raw\n".replace("NDims", "HeaderSize = -1\nNDims"), 33),
        ("a.nhdr", f"{NRRD}: s.raw\n\n".replace("encoding", "byte skip: 100\nencoding"), 100),
        ("a.nhdr", f"{NRRD}: s.raw\n\n".replace("encoding", "byteskip: -1\nencoding"), 33),
    ],
)
def test_what_lies_before_the_voxels_may_be_skipped(tmp_path, make_scan, name, text, skip):
    header = write(tmp_path / "in", name, text, ("s.raw", b"x" * skip + make_scan().tobytes()))
    voxels, _ = read_grid(ScanSource((str(header),), name, "set", "someone"))
    assert np.array_equal(voxels.transpose(2, 1, 0), make_scan())


@pytest.mark.parametrize(
    "start, what",
    [
        (b"ENVI\nsamples = 28\n", "an ENVI header"),
        (b"!INTERFILE :=\n", "an Interfile header"),
        (b"#?RADIANCE\n", "a Radiance picture"),
        (b"#pragma once\n", "neither Analyze nor NIfTI"),
    ],
)
@pytest.mark.parametrize("beside", [".img", ".raw"])
def test_other_headers_of_the_same_suffix_are_called_what_they_are(tmp_path, start, what, beside):
    write(tmp_path / "in", "a.hdr", start.decode(), (f"a{beside}", b"x" * 1000))
    report = prepare([tmp_path / "in"], tmp_path / "store", workers=0)
    assert [outcome.reason for outcome in report.outcomes] == ["unreadable"] and what in report.outcomes[0].detail


def test_what_is_missing_or_no_file_is_named(tmp_path):
    with pytest.raises(Refused, match=r"'gone.raw' is missing: put it next to"):
        data_files(write(tmp_path / "in", "a.mhd", f"{META} = gone.raw\n"))
    os.mkfifo(tmp_path / "in" / "pipe.raw")
    with pytest.raises(Refused, match="'pipe.raw' is a named pipe"):
        data_files(write(tmp_path / "in", "a.nhdr", f"{NRRD}: pipe.raw\n\n"))
    os.mkfifo(tmp_path / "in" / "b.img")
    with pytest.raises(Refused, match="'b.img' is a named pipe"):
        data_files(write(tmp_path / "in", "b.hdr", "\x5c\x01\0\0"))


def test_a_header_cannot_hide_its_data_file_behind_a_long_comment(tmp_path):
    comment = "Comment = " + "x" * (2 << 20)
    with pytest.raises(Refused, match="does not name the voxel data"):
        data_files(write(tmp_path / "in", "a.mhd", f"{comment}\n{META} = /etc/passwd\n"))
    with pytest.raises(Refused, match="does not end"):
        data_files(
            write(tmp_path / "in", "a.nhdr", NRRD.replace("type", "#" + "x" * (2 << 20) + "\ntype") + ": /etc/x\n\n")
        )


def test_keys_are_over_all_files_of_a_scan(tmp_path, make_scan):
    """Two headers alike, their voxels not."""
    keys = set()
    for kind, head in (("a.mhd", f"{META} = my scan.raw\n"), ("a.nhdr", f"{NRRD}: LIST\nmy scan.raw\n")):
        for seed in range(2):
            header = write(tmp_path / f"{kind}{seed}", kind, head, ("my scan.raw", make_scan(seed).tobytes()))
            keys.add(key_of(ScanSource((str(header),), "a", "s", "p"), DEFAULT_READING))
    assert len(keys) == 4


def test_names_that_are_not_utf8_are_read(tmp_path, make_scan):
    folder, latin = tmp_path / os.fsdecode(b"M\xfcller"), os.fsdecode(b"M\xfcller.raw")
    scans = [make_scan(seed) for seed in range(2)]
    write(folder, os.fsdecode(b"\xe4.mhd"), f"{META} = {latin}\n", (latin, scans[0].tobytes()))
    report = prepare([folder], tmp_path / "store", spacing=None, workers=0)
    assert report.count("in") == 1, report.outcomes
    store = Store(tmp_path / "store")
    record = store.records[0]
    assert np.array_equal(store.read(0, (0, 0, 0), record.shape) * record.slope + record.intercept, scans[0])
    with utf8_name("plain.nrrd") as name:
        assert name == "plain.nrrd"


FIELDS = NRRD.removesuffix("data file")


@pytest.mark.parametrize("field", ["sizes", "type", "encoding", "space origin", "none"])
def test_long_fields_of_nrrd_never_reach_its_library(tmp_path, field):
    """It writes its error into a buffer of 1024 bytes, and takes this process along."""
    for name in ("a.nrrd", "a.mha"):
        file = write(tmp_path, name, f"{FIELDS}{field}: {'x:=' * 600}\n\n")
        with pytest.raises(Refused, match="more than 512 bytes"):
            refuse_long_lines(file)
    with pytest.raises(Refused, match="more than 512 bytes"):
        read_grid(ScanSource((str(tmp_path / "a.nrrd"),), "a", "", ""))


def test_long_comments_pairs_and_voxels_of_nrrd_are_read(tmp_path):
    long = "v" * 5000
    voxels = b"x" * (2 * 28 * 24 * 20)
    file = write(tmp_path, "a.nrrd", FIELDS)
    file.write_bytes(f"{FIELDS}# {long}\nkey:={long}\n\n".encode() + voxels)
    assert read_grid(ScanSource((str(file),), "a", "", ""))[0].shape == (28, 24, 20)


def test_long_names_are_shortened_for_itk(tmp_path):
    folder = tmp_path / ("d" * 240) / ("e" * 240)
    folder.mkdir(parents=True)
    file = write(folder, "a.nrrd", f"{FIELDS}\n")
    with utf8_name(str(file)) as short:
        assert len(short) < 256 and file.samefile(short)
