"""Targets go from a manifest into the store and the batches, and are gone with their volumes."""

import json
import math

import pytest
import torch

from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.loader import Loader
from umzoo.data.preparing import maintenance
from umzoo.data.preparing.prepare import prepare
from umzoo.data.store.reader import Store
from umzoo.data.store.targets import FILE, Target
from umzoo.errors import ConfigError, DataError

ROWS = {"a": ("61", "copd"), "b": ("", "NA"), "c": ("63.5", "Healthy")}
CROPS = DataConfig(patch_size=(8, 8, 8), batch_size=8, workers=0)


@pytest.fixture
def manifest(tmp_path, make_scan, write_nifti):
    """Three scans with an age, a diagnosis, and a column that nobody asks for."""
    lines = ["file,subject,age,diagnosis,operator"]
    for seed, (name, row) in enumerate(ROWS.items()):
        write_nifti(tmp_path / f"{name}.nii.gz", make_scan(seed))
        lines.append(f"{name}.nii.gz,{name},{','.join(row)},Jane Doe")
    (tmp_path / "scans.csv").write_text("\n".join(lines))
    return tmp_path / "scans.csv"


def run(manifest, *targets):
    prepare([manifest], manifest.parent / "store", spacing=None, workers=0, targets=targets)
    return Store(manifest.parent / "store")


def by_subject(store, name):
    """Values of a target by the name of the scan."""
    origins = json.loads((store.path / "local" / "origins.json").read_text())
    names = [origins[volume]["name"].partition(".")[0] for volume in store.records.ids]
    return dict(zip(names, store.targets.values[name].tolist(), strict=True))


def test_numbers_classes_and_gaps(manifest):
    store = run(manifest, "age", "diagnosis")
    assert store.targets.known == {"age": Target((), 62.25, 1.25), "diagnosis": Target(("Healthy", "copd"))}
    age = by_subject(store, "age")
    assert (age["a"], age["c"]) == (61, 63.5) and math.isnan(age["b"])
    assert by_subject(store, "diagnosis") == {"a": 1, "b": -1, "c": 0}
    assert b"Doe" not in (store.path / FILE).read_bytes()


def test_batches_carry_them(manifest):
    store = run(manifest, "age", "diagnosis")
    with Loader(store, CROPS, seed=0) as loader:
        batch = next(loader)
    rows = batch["volume"].numpy()
    assert batch["target.diagnosis"].dtype == torch.int64 and batch["target.age"].dtype == torch.float32
    assert batch["target.diagnosis"].tolist() == store.targets.values["diagnosis"][rows].tolist()
    assert len(set(rows.tolist())) > 1


def test_a_store_without_targets_is_as_before(manifest):
    store = run(manifest)
    assert not (store.path / FILE).exists() and store.targets.known == {}
    with Loader(store, CROPS, seed=0) as loader:
        assert not any(name.startswith("target.") for name in next(loader))


def test_later_runs_add_and_replace(manifest):
    run(manifest, "age")
    manifest.write_text(manifest.read_text().replace("61,", "71,"))
    assert by_subject(run(manifest), "age")["a"] == 61, "a run that asks for none keeps those there are"
    store = run(manifest, "age", "diagnosis")
    assert by_subject(store, "age")["a"] == 71 and by_subject(store, "diagnosis")["c"] == 0


def test_they_go_with_their_volumes(manifest):
    store = run(manifest, "age", "diagnosis")
    maintenance.remove(store.path, maintenance.Selection((), (), ("*a.nii.gz",)))
    left = Store(store.path)
    assert by_subject(left, "diagnosis") == {"b": -1, "c": 0} and "copd" not in (store.path / FILE).read_text()


def test_volumes_of_a_run_are_seen_in_their_order(manifest):
    store = run(manifest, "diagnosis")
    ids = store.records.ids[::-1][:2]
    assert (
        Store(store.path, ids).targets.values["diagnosis"].tolist()
        == store.targets.values["diagnosis"][::-1][:2].tolist()
    )


@pytest.mark.parametrize(
    ("target", "error", "says"),
    [
        ("agee", DataError, "no manifest has a column 'agee' .did you mean 'age'"),
        ("my age", ConfigError, "expects a name of letters"),
        ("file", DataError, "no manifest has a column 'file'"),
    ],
)
def test_what_is_no_target(manifest, target, error, says):
    with pytest.raises(error, match=says):
        run(manifest, target)
    assert not (manifest.parent / "store").exists()


def test_names_are_no_classes(manifest, monkeypatch):
    monkeypatch.setattr("umzoo.data.store.targets.MOST_CLASSES", 1)
    with pytest.raises(DataError, match="has 2 distinct texts, at most 1 are allowed: a target is a number or a class"):
        run(manifest, "diagnosis")


def test_a_damaged_file_is_told(manifest):
    store = run(manifest, "age")
    (store.path / FILE).write_text('{"age": 3}')
    with pytest.raises(DataError, match="targets.json is corrupted"):
        Store(store.path).targets  # noqa: B018
