from __future__ import annotations

import errno
import json
import os

import pytest

from umzoo.data.preparing.maintenance import Selection, compact, remove, undo, verify
from umzoo.data.preparing.prepare import prepare
from umzoo.data.preparing.report import REPAIRED
from umzoo.data.store import durable_files
from umzoo.data.store.durable_files import StoreError
from umzoo.data.store.places import array_files
from umzoo.data.store.reader import Store
from umzoo.errors import ConfigError, DataError


@pytest.fixture
def scans(tmp_path, make_scan, write_nifti):
    for seed in range(4):
        write_nifti(tmp_path / "in" / f"s{seed}.nii.gz", make_scan(seed, ct=True))
    return tmp_path / "in"


def run(store, *sources, **options):
    return prepare(sources, store, **{"workers": 0, "spacing": None, **options})


def arrays(store):
    return {file.name: file.read_bytes() for file in sorted(array_files(store))}


@pytest.fixture
def store(tmp_path, scans):
    run(tmp_path / "store", scans)
    return tmp_path / "store"


def damage(store):
    """One array cut short, one with a byte altered, one gone; returns their names."""
    first, second, third, _ = sorted(array_files(store))
    first.write_bytes(first.read_bytes()[:-100])
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    third.unlink()
    return [file.stem for file in (first, second, third)]


def test_damaged_and_missing_arrays_are_found_and_repaired(store, scans, run_cli):
    before, index = arrays(store), (store / "index.jsonl").read_bytes()
    assert verify(store).sound
    broken = damage(store)
    verdict = verify(store)
    assert sorted(verdict.damaged) == broken and verdict.volumes == 4
    assert "1 of 4 volumes are intact" in run_cli("store", "verify", store, code=1)
    report = run(store, scans)
    assert report.count("known") == 4 and report.count("in", "duplicate", "refused") == 0
    assert sum(REPAIRED in outcome.notes for outcome in report.outcomes) == report.summary()["repaired"] == 3
    assert arrays(store) == before and (store / "index.jsonl").read_bytes() == index
    assert verify(store).sound and run(store, scans).summary()["repaired"] == 0


def test_copies_at_half_the_resolution_are_kept_well(tmp_path, store, scans, run_cli):
    names = sorted(file.name for file in array_files(store))
    assert sorted(file.name for file in array_files(store, "halves")) == names
    first, second = sorted(array_files(store, "halves"))[:2]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    assert list(verify(store).damaged) == [first.stem]
    second.unlink()
    assert "2 of 4 volumes" in run_cli("store", "halve", store)
    assert verify(store).sound and first.read_bytes() == content
    remove(store, Selection(ids=[first.stem]))
    assert sorted(file.name for file in array_files(store, "halves")) == names[1:]
    run(tmp_path / "plain", scans, halves=False)
    assert not (tmp_path / "plain" / "halves").exists() and verify(tmp_path / "plain").sound


@pytest.fixture(name="run_cli")
def _run_cli(run):
    return run


def test_stores_without_sums_are_checked_by_their_blocks(store):
    lines = [json.loads(line) for line in (store / "index.jsonl").read_text().splitlines()]
    for line in lines:
        del line["sha256"]
    (store / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert verify(store).sound
    first = sorted(array_files(store))[0]
    first.write_bytes(first.read_bytes()[:-2000])
    assert list(verify(store).damaged) == [first.stem]


def test_data_shows_the_healthy_rest(store, run_cli):
    damage(store)
    output = " ".join(run_cli("data", store).split())
    assert "4 volumes" in output and "cannot be read" in output and "umzoo store verify" in output


def test_what_is_removed_stays_out_until_it_may_come_back(store, scans, run_cli):
    (gone,) = remove(store, Selection(files=["*s2.nii.gz"]))
    assert gone not in [record.id for record in Store(store).records] and len(arrays(store)) == 3
    for _ in range(2):
        report = run(store, scans)
        assert report.count("known") == 3 and report.refusals == {"removed": 1}
    assert len(undo(store, Selection(ids=[gone]))) == 1
    assert run(store, scans).count("in") == 1 and len(Store(store)) == 4
    assert "2 volumes would be removed" in run_cli("store", "remove", store, "--file", "in/s[01]*", "--dry-run")
    assert len(Store(store)) == 4
    with pytest.raises(ConfigError, match="no volumes are selected"):
        Selection()
    with pytest.raises(DataError, match="no volume of .* matches"):
        remove(store, Selection(ids=["zz"]))


def test_a_patient_is_removed_by_name_and_a_data_set_by_its_folder(tmp_path, make_scan, write_dicom, write_nifti):
    for seed, patient in enumerate(("Doe^Jane", "Doe^Jane", "Roe^Max")):
        write_dicom(tmp_path / "d" / str(seed), make_scan(seed, ct=True), patient=patient, series=f"1.{seed}")
    write_nifti(tmp_path / "Ward 3" / "a.nii", make_scan(9, ct=True))
    run(tmp_path / "store", tmp_path / "d", tmp_path / "Ward 3")
    assert len(remove(tmp_path / "store", Selection(patients=["Doe^Jane"]))) == 2
    assert len(remove(tmp_path / "store", Selection(sources=["Ward 3"]))) == 1
    assert len(Store(tmp_path / "store")) == 1


def test_changed_and_gone_scans_are_told_and_can_be_removed(store, scans, make_scan, write_nifti, run_cli):
    write_nifti(scans / "s0.nii.gz", make_scan(10, ct=True))
    (scans / "s1.nii.gz").unlink()
    (scans / "s2.nii.gz").rename(scans / "t2.nii.gz")
    report = run(store, scans)
    assert {(stale.name, stale.how) for stale in report.stale} == {
        ("in/s0.nii.gz", "changed"),
        ("in/s1.nii.gz", "gone"),
    }
    assert len(Store(store)) == 5
    assert {stale.id for stale in run(store, scans).stale} == {stale.id for stale in report.stale}
    assert "2 volumes are removed" in run_cli("store", "remove", store, "--stale")
    assert len(Store(store)) == 3 and not run(store, scans).stale


def test_another_source_makes_nothing_stale(store, tmp_path, make_scan, write_nifti):
    write_nifti(tmp_path / "more" / "x.nii", make_scan(20, ct=True))
    assert not run(store, tmp_path / "more").stale and len(Store(store)) == 5


def test_damaged_lines_are_named_cost_themselves_only_and_are_cleared(store, scans, run_cli):
    ledger, index = store / "local" / "ledger.jsonl", store / "index.jsonl"
    whole = index.read_bytes()
    lines = ledger.read_text().splitlines()
    ledger.write_text("\n".join(["{", *lines[:2], "[" * 100_000, '{"key": 1}', *lines[2:]]) + "\n")
    report = run(store, scans)
    assert report.count("known") == 4 and [p.split(" is")[0] for p in report.problems] == [
        f"local/ledger.jsonl line {number}" for number in (1, 4, 5)
    ]
    index.write_bytes(
        whole.splitlines(keepends=True)[0] + b'{"id": 3}\n' + b"".join(whole.splitlines(keepends=True)[1:])
    )
    with pytest.raises(DataError, match="line 2 is corrupted.*store compact"):
        Store(store)
    (store / "volumes" / ".x.writing-1").write_bytes(b"x" * 1000)
    assert not verify(store).sound
    dropped, freed = compact(store)
    assert dropped == 4 and freed >= 1000 and index.read_bytes() == whole and verify(store).sound
    assert run(store, scans).count("known") == 4


def full_after(monkeypatch, count, code=errno.ENOSPC):
    """Let the disk be full after *count* synced files."""
    left = [count]
    fsync = os.fsync

    def failing(descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(durable_files.os, "fsync", failing)


@pytest.mark.parametrize("count", [5, 6, 9, 11, 14])
def test_a_full_disk_stops_at_once_says_so_and_leaves_nothing(tmp_path, scans, monkeypatch, count):
    with monkeypatch.context() as patch:
        full_after(patch, count)
        with pytest.raises(StoreError, match=r"no space left to write .*full.* free.*run the same command"):
            run(tmp_path / "full", scans)
    names = [file.name for file in (tmp_path / "full").rglob("*") if file.is_file()]
    assert not [name for name in names if ".writing-" in name]
    assert len(Store(tmp_path / "full")) == len(list(array_files(tmp_path / "full")))
    assert (tmp_path / "full" / "index.jsonl").read_bytes().endswith(b"\n") or not len(Store(tmp_path / "full"))
    (tmp_path / "whole" / "local").mkdir(parents=True)
    (tmp_path / "whole" / "local" / "salt").write_bytes((tmp_path / "full" / "local" / "salt").read_bytes())
    run(tmp_path / "full", scans)
    run(tmp_path / "whole", scans)
    assert (tmp_path / "full" / "index.jsonl").read_bytes() == (tmp_path / "whole" / "index.jsonl").read_bytes()
    assert arrays(tmp_path / "full") == arrays(tmp_path / "whole")


def test_a_store_that_cannot_be_written_is_no_fault_of_the_scans(tmp_path, scans, monkeypatch):
    full_after(monkeypatch, 6, errno.EROFS)
    with pytest.raises(StoreError, match="cannot write .*Read-only"):
        run(tmp_path / "full", scans)
