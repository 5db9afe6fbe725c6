"""``umzoo export --onnx``, from weights."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import umzoo
from umzoo import cli
from umzoo.cli import make_app
from umzoo.errors import ConfigError, UnknownNameError


@pytest.fixture
def folder(tmp_path):
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=1), tmp_path / "w")
    return tmp_path / "w"


def test_weights_become_onnx(folder, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    arguments = ["export", str(folder), str(tmp_path / "n.onnx"), "--onnx", "--size", "8", "16", "8"]
    done = CliRunner().invoke(make_app(), arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "level0, level1, level2, level3, pooled, dense" in done.output
    session = runtime.InferenceSession(str(tmp_path / "n.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[1:] == [1, 8, 16, 8]


def test_a_size_that_does_not_fit_is_refused(folder, tmp_path):
    pytest.importorskip("onnxscript")
    arguments = ["export", str(folder), str(tmp_path / "n.onnx"), "--onnx", "--size", "8", "8", "9"]
    with pytest.raises(ConfigError, match="nearest usable size is"):
        CliRunner().invoke(make_app(), arguments, catch_exceptions=False)


def test_an_import_by_an_unknown_importer_names_it_first(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown importer 'nnunett' .did you mean 'nnunet'"):
        CliRunner().invoke(make_app(), ["import", "nnunett", "no/such", str(tmp_path / "w")], catch_exceptions=False)


class Sad(umzoo.Head):
    """Fail."""

    name = "sad"
    package = "umzoo-sad"

    def __init__(self, config=None, info=None):
        raise RuntimeError("first\nsecond")

    def forward(self, features):
        return features.pooled


@pytest.mark.parametrize(
    ("fail", "line"),
    [
        (Sad, "error: head 'sad' of umzoo-sad failed in __init__, test_export.py line"),
        (Path("/").read_bytes, "error: / is a folder, where a file is needed"),
    ],
)
def test_what_a_command_ends_in(fail, line, monkeypatch, capsys):
    monkeypatch.setattr(cli, "make_app", lambda: fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.startswith(line) and "Traceback" not in told


def test_a_fault_of_umzoo_shows_its_traceback(monkeypatch):
    monkeypatch.setattr(cli, "make_app", lambda: lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()
