"""Pickles that attack their reader end in one line, in bounded time and memory, and leave nothing behind."""

import os
import pickle
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from umzoo.errors import WeightsError
from umzoo.pickles import client as apart
from umzoo.pickles.client import PlainPickles, UnreadableError
from umzoo.weights.importers.pickled import _Tensors, read_pickled

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc are Linux's")


def forged_dtype():
    """numpy's type turned into a record whose fields are a number, then used as a table."""
    return (
        b"\x80\x02cnumpy\ndtype\n(X\x02\x00\x00\x00V8K\x00K\x01tR(K\x03X\x01\x00\x00\x00|N"
        b"(X\x01\x00\x00\x00atN}K\x08K\x01K\x1ctbX\x01\x00\x00\x00aK\x01s."
    )


def shared_tuples(levels=80):
    """A key of 2**levels parts in a few hundred bytes: each tuple holds the one before it twice."""
    return b"\x80\x02})" + b"q\x000h\x00h\x00\x86" * levels + b"K\x01s."


HOSTILE = {
    "forged dtype": forged_dtype(),
    "punycode": pickle.dumps(1)[:2] + b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x08\x00\x00\x00punycodetR.",
    "claimed size": b"\x80\x05\x96" + struct.pack("<Q", 1 << 38) + b"abc.",
    "claimed text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"abc.",
    "large memo": b"\x80\x02Nr\xff\xff\xff\xff.",
    "nested lists": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "a million twice over": b"\x80\x02]" + b"q\x00]h\x00ah\x00a" * 60 + b".",
    "a call": b"cos\nsystem\n(S'true'\ntR.",
    "a module": b"cbuiltins\n__import__\n(S'os'\ntR.",
    "a class of the reader": b"cumzoo.pickles.apart\nPlainPickles\n)R.",
    "a number of objects": b"\x80\x02cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x01\x00\x00\x00OtRC\x01atR0",
    "an array of more than it holds": pickle.dumps(np.zeros(7)).replace(b"K\x07\x85", b"K\x09\x85"),
    "nothing": b"",
    "no end": b"\x80\x02]",
}


@pytest.fixture
def pickles():
    reader = PlainPickles()
    yield reader
    reader.close()


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_pickles_end_in_one_line(tmp_path, pickles, content):
    (tmp_path / "case.pkl").write_bytes(content)
    start = time.monotonic()
    with pytest.raises(UnreadableError) as failure:
        pickles.read(tmp_path / "case.pkl")
    assert "\n" not in str(failure.value) and time.monotonic() - start < 60
    (tmp_path / "good.pkl").write_bytes(pickle.dumps({"spacing": [1.0, 2.0, 3.0]}))
    assert pickles.read(tmp_path / "good.pkl") == {"spacing": [1.0, 2.0, 3.0]}


def test_what_takes_too_long_is_ended(tmp_path, monkeypatch, pickles):
    (tmp_path / "case.pkl").write_bytes(shared_tuples())
    monkeypatch.setattr(apart, "SECONDS", 1.0)
    with pytest.raises(UnreadableError, match="took too long"):
        pickles.read(tmp_path / "case.pkl")


def zipped(file, content, **records):
    """An archive like those of ``torch.save`` around the pickle *content*."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {"data.pkl": content, "byteorder": b"little", "version": b"3\n", **records}.items():
            archive.writestr(f"archive/{name}", data)
    return file


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_checkpoints_with_hostile_pickles(tmp_path, content):
    """What is only unknown is passed over; all else is an error in one line."""
    file = zipped(tmp_path / "c.pth", content)
    try:
        read_pickled(file)
    except WeightsError as error:
        assert "cannot be read" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("kind", ["<i8", ">i4", "f2", "f4", "f8", "?", "u1"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_are_read_as_numpy_wrote_them(tmp_path, pickles, order, kind, protocol):
    array = np.asarray(np.arange(24).reshape(2, 3, 4) % 5, kind, order=order)
    content = {"a": array, "b": array[0, 0, 1], "c": OrderedDict(x=(1, None)), "d": array[:0], 3: {1}}
    (tmp_path / "case.pkl").write_bytes(pickle.dumps(content, protocol))
    assert pickles.read(tmp_path / "case.pkl") == {
        "a": array.tolist(), "b": array[0, 0, 1].item(), "c": {"x": (1, None)}, "d": [], 3: (1,)
    }  # fmt: skip


def test_several_threads_share_one_reader(tmp_path, pickles):
    for number in range(30):
        (tmp_path / f"{number}.pkl").write_bytes(b"" if number % 7 == 3 else pickle.dumps([number] * number))
    found = {}

    def read(number):
        try:
            found[number] = pickles.read(tmp_path / f"{number}.pkl")
        except UnreadableError:
            found[number] = None

    threads = [threading.Thread(target=read, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: None if number % 7 == 3 else [number] * number for number in range(30)}


@LINUX
def test_the_reader_can_do_nothing_else(tmp_path):
    """Whatever a pickle might make of its reader: no file, no connection, no process, no memory."""
    program = """
import os, socket, sys
from umzoo.pickles.server import confine
confine()
def refused(action):
    try:
        action()
    except (OSError, MemoryError):
        return True
print(*[refused(it) for it in (
    lambda: open(sys.argv[1]), lambda: open(sys.argv[1] + ".new", "w"), socket.socket, os.pipe,
    lambda: bytearray(4 << 30), lambda: os.write(os.dup(1), b""),
)])
"""
    (tmp_path / "secret").write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "secret"], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {"True"}
    assert sorted(it.name for it in tmp_path.iterdir()) == ["secret"]


@LINUX
def test_the_reader_knows_no_token(tmp_path, monkeypatch, pickles):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    (tmp_path / "good.pkl").write_bytes(pickle.dumps({}))
    pickles.read(tmp_path / "good.pkl")
    environment = Path(f"/proc/{pickles._helper._process.pid}/environ").read_bytes()
    assert b"secret" not in environment and b"HOME" not in environment


def said(answer):
    """A program that gives *answer*."""
    return f"import sys; sys.stdout.buffer.write({len(answer).to_bytes(8, 'little') + answer!r})"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crash"),
        ("import sys; sys.exit(3)", "crash"),
        ("import time; time.sleep(60)", "took too long"),
        ("while True: print('x' * 1000)", "contains too much"),
        (said(b"[" * 10_000), "sent no valid response"),
        (said(b"[1]"), "no content"),
        (said(b'{"content": {"q": 1, "r": 2}}'), "cannot be read"),
        (said(b'{"content": {"T": 5}, "places": {}}'), "the position of a tensor is invalid"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_reader_that_was_overcome(tmp_path, monkeypatch, program, message):
    """Nothing that it says is believed."""
    monkeypatch.setattr(apart, "_PROGRAM", program)
    monkeypatch.setattr(apart, "SECONDS", 2.0)
    monkeypatch.setattr(apart, "MAX_ANSWER", 1 << 20)
    torch.save({}, tmp_path / "c.pth")
    with pytest.raises(WeightsError, match=message):
        read_pickled(tmp_path / "c.pth")


PLACES = {"0": [0, 16]}


@pytest.mark.parametrize(
    "place",
    [
        ["0", "float32", 0, [5], [1]],
        ["0", "float32", 4, [1], [1]],
        ["0", "float32", 0, [2, 2], [1, 4]],
        ["0", "float32", 0, [100_000, 100_000], [0, 0]],
        ["0", "float32", -1, [1], [1]],
        ["0", "float32", 0, [-1], [1]],
        ["0", "float32", 0, [2], [-1]],
        ["0", "float32", 0, [1], []],
        ["0", "object", 0, [1], [1]],
        ["1", "float32", 0, [1], [1]],
        [0, "float32", 0, [1], [1]],
        ["0", "float32", 0, [True], [1]],
        ["0", "float32", 0, [1] * 40, [1] * 40],
        ["0", "float32", 0, [1 << 50], [0]],
        ["0", "float32"],
        None,
    ],
)
def test_places_outside_of_the_file_are_refused(tmp_path, place):
    (tmp_path / "x").write_bytes(bytes(16))
    with (tmp_path / "x").open("rb") as stream, pytest.raises(UnreadableError):
        _Tensors(stream, 16, PLACES).at(place)


@pytest.mark.parametrize(
    "places", [{"0": [0, 17]}, {"0": [0, 9], "1": [0, 9]}, {"0": [-1, 4]}, {"0": "ab"}, {"0": [1]}]
)
def test_storages_hold_no_more_than_the_file(tmp_path, places):
    (tmp_path / "x").write_bytes(bytes(16))
    with (tmp_path / "x").open("rb") as stream, pytest.raises(UnreadableError):
        _Tensors(stream, 16, places)


def test_archives_that_grow_are_refused(tmp_path):
    """A small file of compressed records would become gigabytes."""
    torch.save({"w": torch.zeros(1 << 20)}, tmp_path / "c.pth")
    with (
        zipfile.ZipFile(tmp_path / "c.pth") as old,
        zipfile.ZipFile(tmp_path / "d.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert (tmp_path / "d.pth").stat().st_size < 20_000
    with pytest.raises(WeightsError, match="compressed"):
        read_pickled(tmp_path / "d.pth")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int16, torch.bool, torch.complex64])
def test_tensors_arrive_as_they_were(tmp_path, legacy, dtype):
    """Views, ties, empty ones and parameters, of both forms of ``torch.save``."""
    base = torch.arange(24).reshape(4, 6).to(dtype)
    state = {"base": base, "view": base[1:, ::2].t(), "empty": base[:0], "one": base[2, 3]}
    torch.save(
        state | {"p": torch.nn.Parameter(torch.ones(3))}, tmp_path / "c", _use_new_zipfile_serialization=not legacy
    )
    found = read_pickled(tmp_path / "c")
    assert all(torch.equal(found[name], tensor) and found[name].dtype == dtype for name, tensor in state.items())
    assert (
        found["view"].untyped_storage().data_ptr() == found["base"].untyped_storage().data_ptr() or dtype == torch.bool
    )
    assert torch.equal(found["p"], torch.ones(3))


@pytest.mark.parametrize("content", [b"hello\n", b"0" * 100, b"\x80\x02]q\x00.", b"."])
def test_what_is_no_checkpoint_is_told_in_words(tmp_path, content):
    file = tmp_path / "notes.pth"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="it was not written by torch.save, or its beginning is corrupted$"):
        read_pickled(file)


def test_cut_off_files(tmp_path):
    for legacy in (False, True):
        torch.save({"w": torch.ones(1000)}, tmp_path / "c", _use_new_zipfile_serialization=not legacy)
        content = (tmp_path / "c").read_bytes()
        for length in (3, 60, 200, len(content) // 2, len(content) - 50):
            (tmp_path / "cut").write_bytes(content[:length])
            with pytest.raises(WeightsError, match="cannot be read"):
                read_pickled(tmp_path / "cut")
