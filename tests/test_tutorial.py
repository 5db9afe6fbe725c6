"""The tutorial does what it says, block by block, in an empty folder."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .authoring.test_new import install
from .hub.conftest import hub  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(?:`([\w./-]+\.(?:py|toml))`[^`\n]*:\n\n)?```(\w*)\n(.*?)```", re.DOTALL)


def run(line, folder, environment):
    """Run one line of shell; ``pip install -e`` is replaced by what it would leave behind."""
    words = shlex.split(line)
    if words[:3] == ["pip", "install", "-e"]:
        return {**environment, "PYTHONPATH": install(folder / words[3], folder / "site")["PYTHONPATH"]}
    program = {"umzoo": ["-m", "umzoo"], "pytest": ["-m", "pytest", "-p", "no:cacheprovider"], "python": []}[words[0]]
    command = [sys.executable, *program, *words[1:]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return environment


@pytest.mark.slow
def test_every_block_runs_in_order(tmp_path, hub):  # noqa: F811
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    for file, language, block in BLOCK.findall(text):
        if file:
            (tmp_path / file).write_text(block)
        elif language == "python":
            run(shlex.join(["python", "-c", block]), tmp_path, environment)
        else:
            for line in block.splitlines():
                environment = run(line, tmp_path, environment)
    lines = [json.loads(line) for line in (tmp_path / "RUN" / "metrics.jsonl").read_text().splitlines()]
    assert any("upside_down.accuracy" in line for line in lines)
    for name in re.findall(r"`((?:panel|curves)[\w-]*\.png)`", text):
        assert (tmp_path / "RUN" / "pictures" / name).is_file(), name
    assert "org/upside-down" in hub.repositories
