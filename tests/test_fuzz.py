"""A short run of ``benchmarks/fuzz.py``: every reader of what strangers send, with damaged and hostile input."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzzing():
    spec = importlib.util.spec_from_file_location("umzoo_fuzz", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["umzoo_fuzz"] = module
    spec.loader.exec_module(module)
    yield module
    module.PICKLES.close()
    del sys.modules["umzoo_fuzz"]


def test_readers_read_or_refuse_in_one_line(fuzzing, tmp_path):
    """First of all, what is whole is read: else the readers could refuse everything."""
    targets = fuzzing.make_targets(tmp_path)
    for target in targets.values():
        for seed in target.seeds:
            target.read(seed, tmp_path / "work")
    found = fuzzing.fuzz(2 * sum(target.share for target in targets.values()), 1, 60.0, tmp_path)
    assert not found["failures"] and not found["written"]
    assert all(it["read"] + it["refused"] and it["slowest"] < 30 for it in found["targets"].values())


def test_a_reader_that_fails_is_noticed(fuzzing, tmp_path, monkeypatch):
    def broken(content, folder):
        (folder.parent / "outside").write_bytes(content)
        raise KeyError("x")

    monkeypatch.setattr(fuzzing, "make_targets", lambda _: {"broken": fuzzing.Target((b"x",), broken, 1)})
    (tmp_path / "work").mkdir()
    found = fuzzing.fuzz(3, 1, 60.0, tmp_path)
    assert len(found["failures"]) == 3 and found["written"] == ["outside"]
