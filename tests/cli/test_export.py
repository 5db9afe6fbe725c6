"""``umzoo export --onnx``, from weights."""

import pytest
from typer.testing import CliRunner

import umzoo
from umzoo.cli import make_app
from umzoo.errors import ConfigError


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
