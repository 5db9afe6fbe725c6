"""Checkpoints with numbers of numpy are read without running what is pickled in them."""

import pickle

import numpy as np
import pytest
import torch

from umzoo.errors import WeightsError
from umzoo.plugins import zoo
from umzoo.weights.importers.nnunet_checkpoint import read_checkpoint


class Payload:
    def __reduce__(self):
        return print, ("run",)


def renamed_constructor(tmp_path, monkeypatch, module):
    """A checkpoint that names numpy's constructor as in *module*, as older and newer numpy do."""
    file = tmp_path / "checkpoint.pth"
    torch.save({"value": np.float64(0.5)}, file, _use_new_zipfile_serialization=False)
    content = file.read_bytes()
    found = next(name for name in (b"numpy._core.multiarray", b"numpy.core.multiarray") if name in content)
    file.write_bytes(content.replace(found, module))
    return file


@pytest.mark.parametrize("module", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_numbers_of_old_and_new_numpy(tmp_path, monkeypatch, module):
    assert read_checkpoint(renamed_constructor(tmp_path, monkeypatch, module)) == {"value": 0.5}


@pytest.mark.parametrize("kind", ["bool", "int8", "int64", "uint8", "float16", "float32", "float64"])
def test_all_kinds_of_numbers(tmp_path, kind):
    file = tmp_path / "checkpoint.pth"
    torch.save({"value": np.dtype(kind).type(1), "log": [np.dtype(kind).type(0)]}, file)
    found = read_checkpoint(file)
    assert found == {"value": 1, "log": [0]} and found["value"].dtype == kind


@pytest.mark.parametrize("harmful", [Payload(), np.array([Payload()], dtype=object), np.arange(3)])
def test_all_else_is_refused(tmp_path, capsys, harmful):
    file = tmp_path / "checkpoint.pth"
    torch.save({"network_weights": {}, "logging": harmful}, file)
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        read_checkpoint(file)
    assert "run" not in capsys.readouterr().out


def test_nothing_stays_allowed(tmp_path):
    file = tmp_path / "checkpoint.pth"
    torch.save({"value": np.float64(0.5)}, file)
    read_checkpoint(file)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file, weights_only=True)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_damaged_files(tmp_path, content):
    (tmp_path / "checkpoint.pth").write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_checkpoint(tmp_path / "checkpoint.pth")


def test_what_is_no_model_folder(tmp_path):
    importer = zoo().importers.build("nnunet")
    with pytest.raises(WeightsError, match="expected nnU-Net's model folder"):
        importer.run(tmp_path, tmp_path / "out")
    for name in ("plans.json", "dataset.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(WeightsError, match="has 0 folds: train it first"):
        importer.run(tmp_path, tmp_path / "out")
    (tmp_path / "fold_0").mkdir()
    torch.save([1], tmp_path / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(WeightsError, match="holds a list"):
        importer.run(tmp_path, tmp_path / "out")
    torch.save({"network_weights": {}}, tmp_path / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(WeightsError, match="no 'init_args'"):
        importer.run(tmp_path, tmp_path / "out")
