import json
import logging
import os
import pickle

import blosc2
import numpy as np
import pytest
import torch

from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.loader import Loader
from umzoo.data.loading.open_store import open_store
from umzoo.errors import DataError

SHAPE = (30, 34, 26)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write_case(file, channels=1, seed=0, properties=None, scale=1.0):
    """Write normalized voxels as nnU-Net does, with a bright box at 20:26 along each axis; return them."""
    rng = np.random.default_rng(seed)
    voxels = rng.normal(0, 0.2, (channels, *SHAPE)).astype(np.float32) - 1
    voxels[:, 20:26, 20:26, 20:26] += 2
    voxels *= scale
    file.parent.mkdir(parents=True, exist_ok=True)
    blosc2.asarray(voxels, urlpath=str(file), mode="w", chunks=(1, 16, 16, 16), blocks=(1, 8, 8, 8))
    file.with_suffix(".pkl").write_bytes(pickle.dumps({"spacing": [3.0, 2.0, 1.0]} | (properties or {})))
    return voxels


def write_nnunet(folder, transpose=(0, 1, 2), spacing=(3.0, 1.0, 1.0), channels=None, properties=None):
    """Write a data set of two cases under *folder*; return the configuration's folder and the voxels."""
    channels = channels or {"0": "CT"}
    configuration = folder / "nnUNetPlans_3d_fullres"
    cases = [
        write_case(configuration / f"case_{i}.b2nd", len(channels), seed=i, properties=properties) for i in range(2)
    ]
    for i in range(2):
        blosc2.asarray(np.zeros((1, *SHAPE), np.int8), urlpath=str(configuration / f"case_{i}_seg.b2nd"), mode="w")
    entry = {"data_identifier": configuration.name, "spacing": spacing}
    plans = {"transpose_forward": transpose, "configurations": {"2d": {"batch_size": 1}, "3d_fullres": entry}}
    (folder / "nnUNetPlans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps({"channel_names": channels}))
    return configuration, cases


def test_an_nnunet_folder_reads_like_a_store(tmp_path):
    configuration, cases = write_nnunet(tmp_path / "Dataset007_X", channels={"0": "T1", "1": "FLAIR"})
    store = open_store(configuration)
    assert len(store) == 4 and store.modalities == ("mr",) and store.sources == ("unnamed-1",)
    assert store.records[0].subject == store.records[1].subject != store.records[2].subject
    assert store.info.input.spacing == (3.0, 1.0, 1.0) and store.info.input.orientation == "native"
    for row, record in enumerate(store.records):
        expected = cases[row // 2][row % 2, 5:15, 6:20, 7:26]
        region = store.read(row, (5, 6, 7), (15, 20, 26))
        assert region.dtype == np.int16 and region.shape == (10, 14, 19)
        assert np.abs(region * record.slope + record.intercept - expected).max() <= record.slope
        unit = ((cases[row // 2][row % 2] - record.window[0]) / np.ptp(record.window)).clip(0, 1)
        assert record.mean == pytest.approx(unit.mean(), abs=1e-3) and record.std == pytest.approx(unit.std(), rel=1e-2)


def test_the_folder_above_is_enough_if_it_holds_one_configuration(tmp_path):
    configuration, _ = write_nnunet(tmp_path / "Dataset007_X")
    assert open_store(tmp_path / "Dataset007_X").path == configuration
    plans = json.loads((tmp_path / "Dataset007_X" / "nnUNetPlans.json").read_text())
    plans["configurations"]["3d_lowres"] = {"data_identifier": "nnUNetPlans_3d_lowres", "spacing": [2, 2, 2]}
    (tmp_path / "Dataset007_X" / "nnUNetPlans.json").write_text(json.dumps(plans))
    write_case(tmp_path / "Dataset007_X" / "nnUNetPlans_3d_lowres" / "case_0.b2nd")
    with pytest.raises(DataError, match=r"several configurations: choose one of .*fullres, .*lowres"):
        open_store(tmp_path / "Dataset007_X")


def test_transposed_axes_are_put_back(tmp_path):
    _, cases = write_nnunet(
        tmp_path / "D",
        transpose=(2, 0, 1),
        spacing=(9.0, 8.0, 7.0),
        properties={"class_locations": {1: np.array([[0, 21, 22, 23]])}},
    )
    store = open_store(tmp_path / "D")
    record = store.records[0]
    assert record.shape == (34, 26, 30) and record.spacing == (8.0, 7.0, 9.0)
    assert record.points == ((22, 23, 21),)
    region = store.read(0, (1, 2, 3), (11, 12, 13)) * record.slope + record.intercept
    assert np.allclose(region, cases[0][0, 3:13, 1:11, 2:12].transpose(1, 2, 0), atol=record.slope)


def test_foreground_points_come_from_labels_or_from_bright_voxels(tmp_path):
    labels = {"class_locations": {1: np.tile([0, 3, 4, 5], (500, 1)), 2: np.zeros((0, 4), int)}}
    write_nnunet(tmp_path / "A", properties=labels)
    write_nnunet(tmp_path / "B")
    assert set(open_store(tmp_path / "A").records[0].points) == {(3, 4, 5)}
    record = open_store(tmp_path / "B").records[0]
    assert 0 < len(record.points) <= 64 and record.foreground > 0


def test_an_nnssl_folder_gives_modality_data_set_and_own_spacing(tmp_path):
    data = tmp_path / "Dataset745_Y"
    folder = data / "nnsslPlans_noresample"
    for name in ("a", "b"):
        write_case(folder / "Coll" / "ds1" / "sub-1" / "ses-1" / f"{name}.b2nd", seed=ord(name))
    plans = {"configurations": {"noresample": {"data_identifier": folder.name, "spacing": None}}}
    (data / "nnsslPlans.json").write_text(json.dumps(plans))
    images = [{"name": "a.nii.gz", "modality": "T1w"}, {"name": "b.nii.gz", "modality": "?"}]
    subjects = {"sub-1": {"sessions": {"ses-1": {"images": images}}}}
    listing = {"collection_name": "Coll", "datasets": {"ds1": {"subjects": subjects}}}
    (data / "pretrain_data__noresample.json").write_text(json.dumps(listing))
    store = open_store(folder)
    assert [record.modality for record in store.records] == ["mr", ""]
    assert store.sources == ("unnamed-1",) and store.records[0].contrast == "t1w"
    assert store.records[0].spacing == (3.0, 2.0, 1.0) and store.info.input.spacing == (3.0, 2.0, 1.0)


def test_nothing_is_written_into_the_folder_and_the_second_time_is_cached(tmp_path, monkeypatch):
    configuration, _ = write_nnunet(tmp_path / "D")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "D").rglob("*")}
    first = open_store(configuration)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "D").rglob("*")} == before
    monkeypatch.setattr("umzoo.data.preprocessed.folder.summarize", None)
    assert open_store(configuration).records == first.records
    chosen = open_store(configuration, only=[first.records[1].id])
    assert chosen.records == first.records[1:]
    assert np.array_equal(chosen.read(0, (0, 0, 0), SHAPE), first.read(1, (0, 0, 0), SHAPE))
    with pytest.raises(DataError, match="1 of 1 expected volumes are missing"):
        open_store(configuration, only=["x"])


def test_unusable_arrays_are_left_out_and_named(tmp_path, caplog):
    configuration, _ = write_nnunet(tmp_path / "D")
    write_case(configuration / "flat.b2nd", scale=0.0)
    (configuration / "torn.b2nd").write_bytes((configuration / "case_0.b2nd").read_bytes()[:100])
    (configuration / "torn.pkl").write_bytes((configuration / "case_0.pkl").read_bytes())
    with caplog.at_level(logging.WARNING):
        store = open_store(configuration)
    assert len(store) == 2
    assert (
        "2 of 4 arrays cannot be used and are left out: flat.b2nd: all sampled voxels are equal; torn.b2nd"
        in caplog.text
    )


class Hostile:
    def __reduce__(self):
        return os.system, ("true",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    write_case(tmp_path / "D" / "x" / "case.b2nd", properties={"harm": Hostile()})
    with pytest.raises(DataError, match=r"none of 1 arrays can be used: .*is not plain data"):
        open_store(tmp_path / "D" / "x")


def test_workers_read_the_same_crops(tmp_path):
    configuration, _ = write_nnunet(tmp_path / "D")
    config = DataConfig(patch_size=(16, 16, 16), batch_size=2, workers=0)
    store = open_store(configuration)
    with Loader(store, config, 0) as alone, Loader(store, config.model_copy(update={"workers": 1}), 0) as other:
        assert torch.equal(next(alone)["voxels"], next(other)["voxels"])


def test_anything_else_is_an_error(tmp_path, tiny_store):
    assert open_store(tiny_store.path).records == tiny_store.records
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(DataError, match="neither a store"):
            open_store(path)
