"""Checkpoints with numbers of numpy are read without running what is pickled in them."""

import argparse
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from umzoo.errors import WeightsError
from umzoo.plugins import zoo
from umzoo.weights.importers.checkpoint import read_state
from umzoo.weights.importers.pickled import Inert, read_checkpoint, read_pickled


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
    assert found == {"value": 1, "log": [0]} and isinstance(found["value"], (bool, int, float))


class Listed(list):
    pass


LEGACY = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
OTHERS = [
    Payload(),
    np.array([Payload()], dtype=object),
    argparse.Namespace(lr=0.1),
    Path("/home/someone"),
    Listed([1, Payload()]),
    defaultdict(list, a=[Payload()]),
    torch.optim.lr_scheduler.LambdaLR,
    print,
]


@LEGACY
@pytest.mark.parametrize("other", OTHERS, ids=lambda it: type(it).__name__)
def test_objects_beside_tensors_are_passed_over_and_run_nothing(tmp_path, capsys, caplog, other, zipped):
    file, state = tmp_path / "checkpoint.pth", {"weight": torch.arange(6.0).reshape(2, 3).t()}
    content = {"state_dict": OrderedDict(state), "epoch": np.int64(3), "other": other, "size": torch.Size([2])}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(file)
    assert torch.equal(found["state_dict"]["weight"], state["weight"])
    assert (found["epoch"], found["size"]) == (3, torch.Size([2]))
    assert isinstance(found["other"], Inert)
    assert "run" not in capsys.readouterr().out and "is skipped" in caplog.text


@LEGACY
def test_a_pickled_call_is_not_made(tmp_path, zipped):
    marker = tmp_path / "marker"

    class Touch:
        def __reduce__(self):
            return Path.touch, (marker,)

    torch.save({"a": Touch(), "w": torch.ones(1)}, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    assert read_pickled(tmp_path / "c.pth")["w"] == 1
    assert not marker.exists()


@LEGACY
def test_expanded_tensors_are_read_unless_they_would_fill_the_memory(tmp_path, zipped):
    file = tmp_path / "c.pth"
    torch.save({"w": torch.ones(1).expand(4, 1000)}, file, _use_new_zipfile_serialization=zipped)
    assert torch.equal(read_pickled(file)["w"], torch.ones(4, 1000))
    large = {name: torch.ones(1).expand(1 << 20, 300) for name in "ab"}
    torch.save(large, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="far beyond its storage of 1 values"):
        read_pickled(file)


def test_tensors_of_a_run_are_found_by_every_importer_of_state_dicts(tmp_path):
    content = {"state_dict": {"module.w": torch.ones(1)}, "best_acc": np.float32(0.5), "args": argparse.Namespace()}
    torch.save(content, tmp_path / "c.pth")
    assert read_state(tmp_path / "c.pth") == {"w": torch.ones(1)}


def test_programs_are_refused(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "c.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_pickled(tmp_path / "c.pth")


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
    with pytest.raises(WeightsError, match="contains a list"):
        importer.run(tmp_path, tmp_path / "out")
    torch.save({"network_weights": {}}, tmp_path / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(WeightsError, match="no 'init_args'"):
        importer.run(tmp_path, tmp_path / "out")
