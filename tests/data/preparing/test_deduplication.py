from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from umzoo.data.preparing import prepare as module
from umzoo.data.preparing.prepare import prepare
from umzoo.data.store.places import array_files
from umzoo.data.store.reader import Store


@pytest.fixture
def sources(tmp_path, make_scan, write_nifti):
    """Two folders with equal volumes: as they are, in another container, and told to be of another modality."""
    for seed in range(3):
        write_nifti(tmp_path / "one" / f"a{seed}.nii.gz", make_scan(seed, ct=True))
        write_nifti(tmp_path / "two" / f"b{seed}.nii", make_scan(seed, ct=True).astype("f4"))
    (tmp_path / "out" / "local").mkdir(parents=True)
    return [tmp_path / "one", tmp_path / "two"]


def run(store, sources, order=None, monkeypatch=None, **options):
    (store / "local").mkdir(parents=True, exist_ok=True)
    (store / "local" / "salt").write_text("00" * 32)
    if order is not None:

        def shuffled(scans, job, workers, scheduler):
            done = [(scan, module.prepare_scan(scan, job)) for scan in scans]
            yield from (done[number] for number in order)

        monkeypatch.setattr(module, "_results", shuffled)
    return prepare(sources, store, spacing=None, workers=0, **options)


def lines(store):
    return (store / "index.jsonl").read_bytes(), (store / "local" / "report.jsonl").read_bytes()


@pytest.mark.parametrize("modality", [[], ["mr=*/two/*"]])
def test_the_index_is_the_same_whatever_is_done_first(tmp_path, sources, monkeypatch, modality):
    orders = [range(6), reversed(range(6)), (3, 0, 4, 1, 5, 2), (0, 3, 1, 4, 2, 5)]
    stores = []
    for number, order in enumerate(orders):
        stores.append(tmp_path / str(number))
        report = run(stores[-1], sources, tuple(order), monkeypatch, modality=modality)
        assert (report.count("in"), report.count("duplicate")) == (3, 3)
    assert len({lines(store) for store in stores}) == 1
    records = Store(stores[0]).records
    assert {record.modality for record in records} == {"mr" if modality else "ct"}
    assert {record.source for record in records} == {"unnamed-2" if modality else "unnamed-1"}
    for store in stores:
        assert sorted(file.stem for file in array_files(store)) == [record.id for record in records]


def test_again_and_interrupted_it_is_the_same(tmp_path, sources, monkeypatch):
    run(tmp_path / "whole", sources, modality=["mr=*/two/*"])
    first = (tmp_path / "whole" / "index.jsonl").read_bytes()
    for _ in range(2):
        report = run(tmp_path / "whole", sources, modality=["mr=*/two/*"])
        assert (report.count("known"), report.count("duplicate")) == (3, 3)
        assert (tmp_path / "whole" / "index.jsonl").read_bytes() == first
    for stop in range(7):
        store = tmp_path / f"stopped{stop}"

        def broken(scans, job, workers, scheduler, stop=stop):
            yield from itertools.islice(((scan, module.prepare_scan(scan, job)) for scan in reversed(scans)), stop)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(module, "_results", broken)
            run(store, sources, modality=["mr=*/two/*"])
        run(store, sources, modality=["mr=*/two/*"])
        assert (store / "index.jsonl").read_bytes() == first


def test_a_modality_told_before_stays(tmp_path, sources):
    run(tmp_path / "out", sources[:1], modality=["mr=*"])
    report = run(tmp_path / "out", sources[:1], modality=["mr=nothing*"])
    assert (report.count("known"), report.count("duplicate")) == (3, 0)
    assert {record.modality for record in Store(tmp_path / "out").records} == {"mr"}
    assert {outcome.modality for outcome in report.outcomes} == {"mr"}


def test_names_follow_the_user(tmp_path, sources):
    run(tmp_path / "out", sources)
    run(tmp_path / "out", [f"chest={sources[0]}", sources[1]])
    assert {record.source for record in Store(tmp_path / "out").records} == {"chest"}
    kept = json.loads((tmp_path / "out" / "local" / "sources.json").read_text())
    assert kept == {"unnamed-1": "one", "unnamed-2": "two"}


def test_folders_of_patients_are_numbers_outside(tmp_path, make_scan, write_nifti):
    names = ["Mueller_Joerg_19610203 (1)", "Öztürk Ayşe", "12345678"]
    for seed, name in enumerate(names):
        write_nifti(tmp_path / "patients" / name / "scan.nii.gz", make_scan(seed, ct=True))
    report = run(tmp_path / "out", [tmp_path / "patients" / name for name in names])
    shared = (tmp_path / "out" / "index.jsonl").read_text() + (tmp_path / "out" / "store.json").read_text()
    assert not any(part in shared for name in names for part in name.split())
    assert sorted(record.source for record in Store(tmp_path / "out").records) == [f"unnamed-{n}" for n in (1, 2, 3)]
    assert all(replace(outcome, source="").name.startswith(names[n]) for n, outcome in enumerate(report.outcomes))
