"""Scans are read in a process of its own: what a damaged one does to it is told in one line, and the next is read."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from umzoo.data.reading import reader_client
from umzoo.data.reading.refusal import Refused
from umzoo.data.reading.scan_source import Reading, ScanSource
from umzoo.data.reading.volume import read_grid, read_volumes
from umzoo.errors import DataError
from umzoo.sandbox import Helper
from umzoo.scans.load import load_scan
from umzoo.spec import InputSpec

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")

OVERCOME = """
import os, signal, umzoo.data.reading.reader_server as child
def read(request, whole=child._ASKED["frames"]):
    print("a library that prints")
    file = request["files"][0]
    name = os.path.basename(file)
    if name == "crash.nrrd":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "memory.nrrd":
        raise MemoryError
    if name == "write.nrrd":
        with open(file + ".new", "w") as stream:
            stream.write("x")
    return whole(request)
child._ASKED["frames"] = read
child.main()
"""


def said(answer):
    """A program that answers whatever it is asked with *answer*."""
    return f"import sys; sys.stdout.buffer.write({len(answer).to_bytes(8, 'little') + answer!r})"


def scan_of(file):
    return ScanSource((str(file),), file.name, "", "")


@pytest.fixture
def helper(monkeypatch):
    """The reader, which starts within the test and ends with it."""
    made = Helper(reader_client._start)
    monkeypatch.setattr(reader_client, "_HELPER", made)
    yield made
    made.close()


@pytest.fixture
def program(monkeypatch, helper):
    """Sets what the reader runs, below the line that finds umzoo."""

    def run(text):
        first = reader_client._PROGRAM.partition("; from umzoo")[0]
        monkeypatch.setattr(reader_client, "_PROGRAM", f"{first}\n{text}")

    return run


@pytest.fixture
def write(tmp_path):
    def run(name, seed=0):
        voxels = np.random.default_rng(seed).integers(0, 99, (4, 5, 6), np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(voxels), tmp_path / name)
        return tmp_path / name, voxels

    return run


def test_a_scan_that_ends_its_reader_costs_itself_only(helper, program, write, tmp_path):
    program(OVERCOME)
    whole, voxels = write("a.nrrd")
    asked = [whole, *(write(name)[0] for name in ("crash.nrrd", "memory.nrrd", "write.nrrd")), whole]
    found = []
    for file in asked:
        try:
            found.append(read_grid(scan_of(file))[0])
        except Refused as why:
            found.append(str(why))
    assert np.array_equal(found[0], voxels.T) and np.array_equal(found[-1], voxels.T)
    assert found[1] == (
        "process died: the reader process was ended by SIGSEGV: the file is corrupted; download or export it again"
    )
    assert found[2] == "out of memory: not enough memory to read it"
    assert found[3].startswith("unreadable: ")
    assert (tmp_path / "write.nrrd.new").stat().st_size == 0


def test_a_header_on_which_itk_crashes(helper, tmp_path):
    """It writes as many sizes as the header has dimensions."""
    header = "ObjectType = Image\nNDims = 9999\nElementType = MET_SHORT\nElementSpacing = 1 1 2\nOffset = 0 0 0\n"
    header += "TransformMatrix = 1 0 0 0 1 0 0 0 1\nBinaryDataByteOrderMSB = False\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(header.encode() + bytes(128))
    with pytest.raises(DataError, match="'a.mha' cannot be used: ") as caught:
        load_scan(tmp_path / "a.mha", InputSpec())
    assert "\n" not in str(caught.value) and str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import time; time.sleep(60)", "took more than 1 s"),
        ("import sys; sys.exit(3)", "ended with exit status 3: check that Python can be started as"),
        (said(b"[" * 100), "the reader process"),
        (said(b"[]"), "the reader process"),
        (said(b'{"reason": "?", "detail": ""}'), "the reader process"),
        (said(b'{"shape": [1], "dtype": "|O"}'), "the reader process"),
        (said(b'{"shape": [999999, 999999, 999], "dtype": "<f8"}'), "is free"),
        ("import os; os.write(1, b'x' * 8)", "the reader process"),
    ],
)
def test_a_reader_that_was_overcome_is_not_believed(helper, program, tmp_path, monkeypatch, text, reason):
    program(text)
    monkeypatch.setattr(reader_client, "SECONDS", 1.0)
    (tmp_path / "a.nrrd").write_bytes(b"x")
    start = time.monotonic()
    with pytest.raises(Refused, match=reason) as caught:
        read_grid(scan_of(tmp_path / "a.nrrd"))
    assert "\n" not in str(caught.value) and time.monotonic() - start < 15
    assert helper._process is None


def test_one_process_serves_many_scans_and_knows_no_token(helper, write, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    files = [write(f"{number}.{suffix}", number) for number, suffix in enumerate(("nrrd", "mha", "nhdr"))]
    pids = set()
    for file, voxels in files:
        (volume,) = read_volumes(scan_of(file))
        assert np.array_equal(volume.voxels, voxels) and volume.voxels.flags.c_contiguous
        pids.add(helper._process.pid)
    assert len(pids) == 1
    if sys.platform == "linux":
        assert b"secret" not in Path(f"/proc/{pids.pop()}/environ").read_bytes()


@pytest.mark.parametrize("vector", [True, False])
def test_channels_and_frames_come_as_they_are(helper, tmp_path, monkeypatch, vector):
    voxels = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype(np.float32)
    stored = np.moveaxis(voxels, 0, -1) if vector else voxels
    sitk.WriteImage(sitk.GetImageFromArray(stored, isVector=vector), tmp_path / "a.nrrd")
    apart = list(read_volumes(scan_of(tmp_path / "a.nrrd")))
    monkeypatch.setattr(reader_client, "expendable", True)
    here = list(read_volumes(scan_of(tmp_path / "a.nrrd")))
    for volume, other, expected in zip(apart, here, voxels, strict=True):
        assert np.array_equal(volume.voxels, expected) and np.array_equal(other.voxels, expected)
        assert (volume.grid.affine == other.grid.affine).all() and volume.notes == other.notes


def test_a_process_made_for_it_reads_on_the_spot(helper, write, monkeypatch):
    monkeypatch.setattr(reader_client, "expendable", True)
    file, voxels = write("a.mha")
    assert np.array_equal(read_grid(scan_of(file))[0], voxels.T) and helper._process is None


def test_nifti_is_read_here(helper, tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4)), tmp_path / "a.nii")
    assert read_grid(scan_of(tmp_path / "a.nii"))[0].shape == (4, 5, 6) and helper._process is None


def test_names_relative_to_a_folder_that_is_left(helper, write, tmp_path, monkeypatch):
    file, voxels = write("scan of Jos\u00e9.nrrd")
    reader_client.open_apart(scan_of(file), Reading(), labels=False)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(read_grid(ScanSource((file.name,), "x", "", ""))[0], voxels.T)


SCRIPT = """
import multiprocessing, os, sys
from umzoo.data.reading import reader_client
from umzoo.data.reading.scan_source import ScanSource
from umzoo.data.reading.volume import read_grid
def read():
    read_grid(ScanSource((sys.argv[1],), "", "", ""))
    return reader_client._HELPER._process.pid
def child(queue):
    queue.put(read())
print(read())
context = multiprocessing.get_context("fork")
queue = context.Queue()
process = context.Process(target=child, args=(queue,), daemon=True)
process.start()
print(queue.get())
process.join()
print(read(), flush=True)
if len(sys.argv) > 2:
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes are not forked here")
@pytest.mark.parametrize("killed", [(), ("killed",)])
def test_a_script_needs_no_guard_and_nothing_outlives_it(write, tmp_path, killed):
    """Nor does a fork of it, which may have no children, share its reader."""
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, tmp_path / "script.py", write("a.nrrd")[0], *killed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    first, forked, again = map(int, done.stdout.split())
    assert done.returncode == (-signal.SIGKILL if killed else 0) and not done.stderr
    assert first == again != forked
    deadline = time.monotonic() + 10
    while any(map(_lives, (first, forked))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_lives, (first, forked)))


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
