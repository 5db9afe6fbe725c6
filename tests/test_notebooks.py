"""The notebooks run from the first cell to the last, and what they show was made by the code that they hold."""

import importlib.util
import json
import shlex
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
MOST = 400_000
"""Bytes of a notebook with its outputs."""
QUICK = {"few_labels": [("steps = 20", "steps = 1"), ("validate_every = 20", "validate_every = 1")]}
"""Changes to the code that only shorten trainings."""


def loaded(file):
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture
def execute():
    spec = importlib.util.spec_from_file_location("execute", ROOT / "docs" / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.drawn
@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_every_cell_runs(file, execute, run, tmp_path, monkeypatch):
    pytest.importorskip("monai", reason="umzoo[finetune] is not installed")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": file.stem}
    for cell in execute.code(loaded(file)):
        for old, new in (("os.chdir(tempfile.mkdtemp())", ""), *QUICK.get(file.stem, ())):
            cell = cell.replace(old, new)
        if cell.startswith("%%bash\n"):
            for line in cell.splitlines()[1:]:
                words = shlex.split(line)
                assert words[0] == "umzoo", line
                run(*words[1:])
        else:
            exec(compile(cell, file.name, "exec"), names)
            plt.close("all")


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_outputs_are_those_of_the_code(file, execute):
    """Run 'make notebooks' if this fails."""
    notebook = loaded(file)
    assert notebook["metadata"][execute.MADE_FROM] == execute.digest(execute.code(notebook))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs)
    assert file.stat().st_size < MOST


def test_nothing_of_a_machine_is_stored():
    text = "".join(file.read_text(encoding="utf-8") for file in NOTEBOOKS)
    assert not any(path in text for path in ("/home/", "/root", "/tmp/", "/work/", "C:\\\\"))
