from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import nibabel
import numpy as np
import pytest

from umzoo.data.preparing import prepare as module
from umzoo.data.preparing.prepare import prepare
from umzoo.data.preparing.scan_job import prepare_scan
from umzoo.data.store.contact_sheet import contact_sheet
from umzoo.data.store.index import read_index
from umzoo.data.store.places import array_files
from umzoo.data.store.reader import Store
from umzoo.errors import ConfigError, DataError


def run(store: Path, *sources: Path, **options):
    return prepare(sources, store, **{"workers": 0, "spacing": None, **options})


@pytest.fixture
def scans(tmp_path, make_scan, write_nifti) -> Path:
    """Six scans of three subjects' names that must not leave the machine."""
    for seed in range(6):
        write_nifti(tmp_path / "Clinic" / f"doe_jane_{seed}.nii.gz", make_scan(seed, ct=seed < 3))
    return tmp_path / "Clinic"


def test_what_goes_in_comes_out(tmp_path, scans, make_scan):
    report = run(tmp_path / "store", scans, modality=["mr=*_[345].nii.gz"])
    assert report.summary()["modalities"] == {"ct (guess)": 3, "mr (option)": 3}
    store = Store(tmp_path / "store")
    assert store.modalities == ("ct", "mr") and store.sources == ("unnamed-1",)
    physical = [store.read(i, (0, 0, 0), r.shape) * r.slope + r.intercept for i, r in enumerate(store.records)]
    for seed in range(6):
        expected = make_scan(seed, ct=seed < 3).clip(-1024 if seed < 3 else -32768)
        assert any(np.array_equal(voxels, expected) for voxels in physical)
    for index, record in enumerate(store.records):
        low, high = record.stored_window
        unit = ((store.read(index, (0, 0, 0), record.shape) - low) / (high - low)).clip(0, 1)
        assert record.mean == pytest.approx(unit.mean(), abs=0.02) and len(record.points) == 64


def test_default_spacing_is_one_millimeter(tmp_path, make_scan, write_nifti):
    write_nifti(tmp_path / "in" / "a.nii", make_scan(), (2.5, 0.8, 0.8))
    prepare([tmp_path / "in"], tmp_path / "store", workers=0)
    (record,) = Store(tmp_path / "store").records
    assert record.shape == (50, 19, 22) and record.spacing == (1, 1, 1)
    assert Store(tmp_path / "store").info.input.spacing == (1, 1, 1)


def refused_scans(folder: Path, make_scan, write_nifti, write_dicom) -> dict[str, str]:
    """One scan for each reason; returns file name to reason."""
    scan, eye = make_scan(), np.eye(4)

    def save(name: str, voxels: np.ndarray, affine: np.ndarray = eye) -> None:
        nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / name)

    folder.mkdir()
    save("flat.nii", scan[0])
    save("thin.nii", scan[:5])
    save("color.nii", np.zeros((9, 9, 9), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    save("complex.nii", scan.astype(np.complex64))
    save("vector.nii", np.zeros((9, 9, 9, 3, 3), np.float32))
    save("nan.nii", np.where(scan > 500, np.nan, scan).astype(np.float32))
    save("constant.nii", np.full((9, 9, 9), 7.0))
    save("labels.nii", (scan > 300).astype(np.uint8))
    save("geometry.nii", scan, np.diag([1.0, 1, 99, 1]))
    write_nifti(folder / "damaged.nii.gz", scan)
    (folder / "damaged.nii.gz").write_bytes((folder / "damaged.nii.gz").read_bytes()[:2000])
    write_dicom(folder / "us", make_scan(ct=True)[:1], modality="US")
    write_dicom(folder / "gap", make_scan(ct=True))
    sorted((folder / "gap").glob("*.dcm"))[5].unlink()
    return {
        "flat.nii": "2-D", "thin.nii": "too thin", "color.nii": "RGB", "complex.nii": "complex",
        "vector.nii": "vector field", "nan.nii": "NaN", "constant.nii": "constant", "labels.nii": "label map",
        "geometry.nii": "geometry", "damaged.nii.gz": "unreadable", "us/000.dcm": "not a volume",
        "gap [000.dcm + 18]": "missing slices",
    }  # fmt: skip


def test_every_refusal_has_its_reason(tmp_path, make_scan, write_nifti, write_dicom):
    expected = refused_scans(tmp_path / "in", make_scan, write_nifti, write_dicom)
    for _ in range(2):
        report = run(tmp_path / "store", tmp_path / "in")
        found = {outcome.name.removeprefix("in/"): outcome.reason for outcome in report.outcomes}
        assert found == expected
        assert report.count("refused") == len(expected)
    assert len(Store(tmp_path / "store")) == 0
    lines = (tmp_path / "store" / "local" / "report.jsonl").read_text().splitlines()
    assert {json.loads(line)["reason"] for line in lines} == set(expected.values())
    assert str(tmp_path) not in "".join(lines)


def test_too_thin_once_resampled(tmp_path, make_scan, write_nifti):
    write_nifti(tmp_path / "in" / "a.nii", make_scan(), (0.3, 1, 1))
    report = prepare([tmp_path / "in"], tmp_path / "store", workers=0)
    assert "6 x 24 x 28 voxels after resampling" in report.outcomes[0].detail


def test_nothing_that_may_be_shared_names_anybody(tmp_path, scans, make_scan, write_dicom):
    write_dicom(scans / "series", make_scan(7, ct=True), patient="Roe^Richard")
    run(tmp_path / "store", scans)
    shared = "".join(file.read_text() for file in (tmp_path / "store").iterdir() if file.is_file()) + " ".join(
        file.name for file in array_files(tmp_path / "store")
    )
    for secret in ("doe", "jane", "roe", "richard", "series", "clinic", str(tmp_path), ".nii", ".dcm"):
        assert secret not in shared.lower()
    assert (tmp_path / "store" / "local" / "salt").stat().st_mode & 0o077 == 0


def test_subjects_are_equal_for_one_person_only(tmp_path, make_scan, write_dicom):
    for seed, patient in enumerate(("A", "A", "B")):
        write_dicom(tmp_path / "in" / str(seed), make_scan(seed, ct=True), patient=patient, series=f"1.{seed}")
    run(tmp_path / "one", tmp_path / "in")
    run(tmp_path / "two", tmp_path / "in")
    subjects = [{r.subject for r in Store(tmp_path / name).records} for name in ("one", "two")]
    assert len(subjects[0]) == 2 and not subjects[0] & subjects[1]


def test_renamed_files_are_not_read_again(tmp_path, scans, monkeypatch):
    run(tmp_path / "store", scans)
    records = {r.id: r.model_copy(update={"subject": ""}) for r in Store(tmp_path / "store").records}
    for path in list(scans.iterdir()):
        path.rename(path.with_name(f"new_{path.name}"))
    monkeypatch.setattr("umzoo.data.preparing.scan_job.read_volumes", None)
    report = run(tmp_path / "store", scans)
    assert report.count("known") == 6
    assert all("/new_" in outcome.name for outcome in report.outcomes)
    assert {r.id: r.model_copy(update={"subject": ""}) for r in Store(tmp_path / "store").records} == records


def test_duplicates_in_another_container_are_told(tmp_path, scans, make_scan, write_nifti):
    write_nifti(scans / "z_copy.nii", make_scan(0, ct=True).astype(np.float32))
    for _ in range(2):
        report = run(tmp_path / "store", scans)
        (copy,) = [outcome for outcome in report.outcomes if outcome.status == "duplicate"]
        assert copy.name == "Clinic/z_copy.nii" and "same voxels as Clinic/doe_jane_0.nii.gz" in copy.detail
    assert len(Store(tmp_path / "store")) == 6


def test_equal_files_count_once_however_often_it_runs(tmp_path, scans, make_scan, write_nifti):
    write_nifti(scans / "flat.nii", np.ones((9, 9, 9), np.int16))
    (scans / "z.nii.gz").write_bytes((scans / "doe_jane_1.nii.gz").read_bytes())
    reports = [run(tmp_path / "store", scans) for _ in range(3)]
    ledger = (tmp_path / "store" / "local" / "ledger.jsonl").read_text().splitlines()
    assert len(ledger) == 7
    for report in reports:
        assert (report.count("in", "known"), report.count("duplicate"), report.count("refused")) == (6, 1, 1)


def test_a_modality_told_later_replaces_the_guess(tmp_path, scans):
    run(tmp_path / "store", scans)
    assert Store(tmp_path / "store").modalities == ("ct",)
    for _ in range(2):
        report = run(tmp_path / "store", scans, modality=["mr=*_[345].nii.gz"])
        assert report.count("in", "known") == 6
        records = Store(tmp_path / "store").records
        assert sorted(r.modality for r in records) == ["ct"] * 3 + ["mr"] * 3
    assert len(list(array_files(tmp_path / "store"))) == 6


def test_ct_that_is_not_in_hu_is_noted(tmp_path, scans):
    report = run(tmp_path / "store", scans, modality=["ct=*"])
    assert sum("do not look like HU" in "".join(outcome.notes) for outcome in report.outcomes) == 3
    windows = [record.window for record in Store(tmp_path / "store").records]
    assert windows.count((-1000, 1000)) == 3 and all(0 < low < high < 800 for low, high in windows if low != -1000)


def test_frames_are_volumes_of_one_subject(tmp_path, make_scan):
    frames = np.stack([make_scan(seed).transpose(2, 1, 0) for seed in range(3)] + [np.ones((28, 24, 20))], axis=-1)
    (tmp_path / "in").mkdir()
    nibabel.save(nibabel.Nifti1Image(frames.astype(np.int16), np.eye(4)), tmp_path / "in" / "a.nii")
    report = run(tmp_path / "store", tmp_path / "in")
    assert report.count("in") == 3 and report.refusals == {"constant": 1}
    assert [o.name for o in report.outcomes][-1] == "in/a.nii [frame 3]"
    assert len({r.subject for r in Store(tmp_path / "store").records}) == 1


def fragile(scan, job):
    if "jane_2" in scan.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    return prepare_scan(scan, job)


def test_a_scan_that_kills_its_reader_is_refused_and_tried_again(tmp_path, scans, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "prepare_in_worker", fragile)
        report = run(tmp_path / "store", scans, workers=2)
    (dead,) = [outcome for outcome in report.outcomes if outcome.status == "refused"]
    assert (dead.name, dead.reason) == ("Clinic/doe_jane_2.nii.gz", "process died")
    assert "SIGSEGV" in dead.detail and report.count("in") == 5
    assert run(tmp_path / "store", scans).count("in") == 1


def killed_after(count, source, store):
    """Prepare in a process that is killed with kill -9 at its *count*-th flush to disk; whether it got that far."""
    process = os.fork()
    if not process:
        left, flush = [count], os.fsync

        def counted(descriptor):
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            flush(descriptor)

        os.fsync = counted
        signal.alarm(60)  # locks that other threads held at the fork are never released
        try:
            run(store, source)
        finally:
            os._exit(0)  # nor may this process go on with the tests
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


def content(store):
    """The files that may be shared, by name."""
    files = sorted(store.glob("*.json*")) + sorted(array_files(store))
    return {file.relative_to(store): file.read_bytes() for file in files}


def test_killed_and_continued_gives_the_same_store(tmp_path, make_scan, write_nifti, monkeypatch):
    """At any moment: index, arrays and columns are whole, and those of a run that was never stopped."""
    monkeypatch.setattr("umzoo.data.store.index.LEAST", 0)
    for seed in range(4):
        write_nifti(tmp_path / "in" / f"{seed}.nii.gz", make_scan(seed, (10, 11, 12), ct=True))
    (tmp_path / "whole" / "local").mkdir(parents=True)
    (tmp_path / "whole" / "local" / "salt").write_text("00" * 32)
    run(tmp_path / "whole", tmp_path / "in")
    assert len(Store(tmp_path / "whole")) == 4
    stopped = 0
    for count in range(1, 60, 5):
        store = tmp_path / str(count)
        (store / "local").mkdir(parents=True)
        (store / "local" / "salt").write_text("00" * 32)
        stopped += killed_after(count, tmp_path / "in", store)
        if (store / "store.json").exists():
            assert list(Store(store).records) == read_index(store / "index.jsonl")[0]
        assert run(store, tmp_path / "in").count("in", "known") == 4 and len(Store(store)) == 4
        assert content(store) == content(tmp_path / "whole")
        assert not [file for file in store.rglob(".*")]
    assert stopped > 4


def test_errors_of_use(tmp_path, scans):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no scan in .*empty: expected NIfTI"):
        run(tmp_path / "store", tmp_path / "empty")
    with pytest.raises(ConfigError, match="--modality expects"):
        run(tmp_path / "store", scans, modality=["ct"])
    assert not (tmp_path / "store").exists()


def test_contact_sheet(tmp_path, scans):
    run(tmp_path / "store", scans)
    assert contact_sheet(Store(tmp_path / "store"), tmp_path / "sheet.png", tiles=4) == (4, [])
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_dask_workers_do_the_same(tmp_path, scans):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        report = run(tmp_path / "store", scans, scheduler=cluster.scheduler_address)
    assert report.count("in") == 6 and len(Store(tmp_path / "store")) == 6


DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real scans of ../shared/data are not here")
def test_real_scans_are_in_or_refused_for_a_true_reason(tmp_path):
    sources = [
        DATA / "dicom" / "mr_prostate_dce",
        DATA / "Task91_LungCT" / "labelsTr",
        DATA / "mr" / "spine_T1_crop.nii.gz",
    ]
    report = run(tmp_path / "store", *sources)
    assert report.summary()["modalities"] == {"mr (dicom)": 1, "unknown (unknown)": 1}
    assert report.refusals == {"label map": 2}


def test_a_modality_pattern_that_fits_nothing_is_told(tmp_path, scans, caplog):
    run(tmp_path / "store", scans)
    report = run(tmp_path / "store", scans, modality=["mr=*_[345].nii.gz", "ct=nomatch*"])
    assert "'ct=nomatch*' matches no scan" in caplog.text and "'mr=" not in caplog.text
    counts = report.summary()
    assert (counts["in_before"], counts["duplicates"], counts["refused"]) == (6, 0, 0)
    assert counts["modalities"] == {"ct (guess)": 3, "mr (option)": 3}
