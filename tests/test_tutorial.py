"""The tutorial does what it says, block by block, in an empty folder."""

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from umzoo.plugins import zoo

from .authoring.test_new import install
from .hub.conftest import hub  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(?:`([\w./-]+\.(?:py|toml))`[^`\n]*:\n\n)?```(\w*)\n(.*?)```", re.DOTALL)


@pytest.fixture
def shell(run, tmp_path, monkeypatch):
    """Runs a line of shell in a folder: ``umzoo`` in this process, ``pip install -e`` as what it would leave behind."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(line, folder):
        monkeypatch.chdir(folder)
        words = shlex.split(line)
        if words[0] == "umzoo":
            run(*words[1:])
        elif words[:3] == ["pip", "install", "-e"]:
            _install(folder / words[3], folder / "site", monkeypatch)
        else:
            program = {"pytest": ["-m", "pytest", "-p", "no:cacheprovider"], "python": []}[words[0]]
            command = [sys.executable, *program, *words[1:]]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    yield call
    zoo.cache_clear()


def _install(package, site, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", install(package, site)["PYTHONPATH"])
    for place in (package, site):
        monkeypatch.syspath_prepend(place)
    importlib.invalidate_caches()
    zoo.cache_clear()


@pytest.mark.slow
@pytest.mark.drawn
def test_every_block_runs_in_order(tmp_path, hub, shell, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    for file, language, block in BLOCK.findall(text):
        if file:
            (tmp_path / file).write_text(block)
        elif language == "python":
            exec(block, {})
        else:
            for line in block.splitlines():
                shell(line, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "RUN" / "metrics.jsonl").read_text().splitlines()]
    assert any("upside_down.accuracy" in line for line in lines)
    for name in re.findall(r"`((?:panel|curves)[\w-]*\.png)`", text):
        assert (tmp_path / "RUN" / "pictures" / name).is_file(), name
    assert "org/upside-down" in hub.repositories
