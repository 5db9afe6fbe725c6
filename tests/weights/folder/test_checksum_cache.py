import os
import time

import pytest
import torch

import umzoo
from umzoo.errors import WeightsError
from umzoo.weights.folder import checksum_cache, safetensors_file
from umzoo.weights.folder.reader import MODEL
from umzoo.weights.folder.tensors import load_state


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A weights folder, in a cache of its own, written long enough ago."""
    monkeypatch.setenv("UMZOO_CACHE", str(tmp_path / "cache"))
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=2), tmp_path / "weights")
    monkeypatch.setattr(checksum_cache, "SETTLED", -1)
    return tmp_path / "weights"


@pytest.fixture
def sums(monkeypatch):
    """Counts how often a file is summed."""
    made = []
    digest = safetensors_file._Digest
    monkeypatch.setattr(safetensors_file, "_Digest", lambda start: made.append(start) or digest(start))
    return made


def test_a_file_is_summed_once_whatever_process_asks(folder, sums):
    first = load_state(folder)
    again = load_state(folder)
    checksum_cache._known.clear()  # as in a new process
    later = load_state(folder)
    assert len(sums) == 1
    for name, value in first.items():
        assert torch.equal(value, again[name]) and torch.equal(value, later[name])


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_file_that_was_changed_is_summed_again(folder, keep_time):
    load_state(folder)
    file = folder / MODEL
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    if keep_time:
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(WeightsError, match="checksum mismatch"):
        load_state(folder)


def test_another_sum_is_not_taken_for_the_known_one(folder):
    load_state(folder)
    config = folder / "config.json"
    recorded = umzoo.weights.folder.reader.read_info(folder).files[MODEL]
    config.write_text(config.read_text().replace(recorded, "0" * 64))
    with pytest.raises(WeightsError, match="checksum mismatch"):
        load_state(folder)


def test_a_file_that_was_just_written_is_not_remembered(folder, sums, monkeypatch):
    monkeypatch.setattr(checksum_cache, "SETTLED", 2_000_000_000)
    (folder / MODEL).touch()
    load_state(folder)
    load_state(folder)
    assert len(sums) == 2
    old = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: old)
    load_state(folder)
    load_state(folder)
    assert len(sums) == 3


def test_a_note_that_cannot_be_used_does_no_harm(folder, tmp_path, sums):
    (tmp_path / "cache").write_bytes(b"\xff a file")
    load_state(folder)
    load_state(folder)
    assert len(sums) == 1
    checksum_cache._known.clear()
    load_state(folder)
    assert len(sums) == 2


def test_the_note_does_not_grow_without_end(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(checksum_cache, "MOST", 2)
    for number in range(5):
        os.utime(folder / MODEL, ns=(0, number))
        load_state(folder)
    assert len((tmp_path / "cache" / checksum_cache.NOTE).read_text().splitlines()) <= 2


def test_what_is_written_to_the_tensors_stays_out_of_the_file(folder, sums):
    first = load_state(folder)
    again = load_state(folder)
    for value in again.values():
        value.zero_()
    third = load_state(folder)
    assert len(sums) == 1 and all(torch.equal(first[name], third[name]) for name in first)
