"""What a release says in several places is the same in all of them."""

import re
import sys
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement

import umzoo

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RECIPE = yaml.safe_load((ROOT / ".ci" / "conda.yaml").read_text(encoding="utf-8"))
ON_CONDA = {"torch": "pytorch", "blosc2": "python-blosc2", "matplotlib": "matplotlib-base"}
"""Packages that conda-forge calls otherwise."""


def test_both_images_are_made_by_the_same_commands_with_extras_that_there_are():
    docker, apptainer = ((ROOT / ".ci" / name).read_text(encoding="utf-8") for name in ("Dockerfile", "umzoo.def"))
    commands = [line.removeprefix("RUN ") for line in docker.splitlines() if line.startswith("RUN ")]
    body = apptainer.partition("%post\n")[2].partition("\n\n")[0]
    assert commands == [line.strip() for line in body.splitlines()]
    assert re.search(r"^FROM (\S+)$", docker, re.M)[1] == re.search(r"^From: (\S+)$", apptainer, re.M)[1]
    extras = re.search(r"/opt/umzoo\[([\w,]+)\]", commands[-1])[1].split(",")
    assert set(extras) <= PROJECT["optional-dependencies"].keys()


def test_the_code_that_the_hub_shows_calls_what_there_is():
    text = (ROOT / "docs" / "hub_library.ts").read_text(encoding="utf-8")
    python = re.search(r"\[\s*`(.*?)`", text, re.S)[1].replace("${model.id}", "org/name")
    called = re.findall(r"umzoo\.(\w+)\(", python)
    assert called and all(callable(getattr(umzoo, name)) for name in called)
    compile(python, "snippet", "exec")
    assert re.search(r'prettyLabel: "(\w+)"', text)[1] == "umzoo"


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / ".ci")
    yield import_module
    for name in ("wheels", "oldest"):
        sys.modules.pop(name, None)


def test_all_name_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {str(citation["version"]), RECIPE["context"]["version"]} == {umzoo.__version__}


def test_the_recipe_of_conda_has_the_dependencies_of_the_project():
    wanted = [Requirement(line) for line in PROJECT["dependencies"]]
    ours = {f"{ON_CONDA.get(it.name, it.name.lower())} {it.specifier}".strip() for it in wanted}
    assert ours | {f"python {PROJECT['requires-python']}"} == set(RECIPE["requirements"]["run"])


def test_the_changelog_begins_with_what_is_not_released_or_with_this_version():
    first = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert first and first[1] in ("Unreleased", umzoo.__version__)


def test_the_oldest_dependencies_are_the_lower_bounds(tools, capsys):
    tools("oldest").main()
    lines = capsys.readouterr().out.splitlines()
    assert "torch==2.8.*" in lines and "timm==1.0.20" in lines and not any(line.startswith("psutil") for line in lines)


@pytest.mark.parametrize(
    ("name", "fault"), [("umzoo/py.typed", "py.typed is missing"), ("", "tests/x.py does not belong")]
)
def test_faults_of_a_wheel_are_named(tools, tmp_path, name, fault):
    wheels = tools("wheels")
    inside = [f"{wanted}x" if wanted.endswith("/") else wanted for wanted in wheels.WANTED["umzoo"] if wanted != name]
    with ZipFile(tmp_path / "umzoo-1-py3-none-any.whl", "w") as archive:
        for path in [*inside, *([] if name else ["tests/x.py"])]:
            archive.writestr(path, "")
    [found] = wheels.check(tmp_path / "umzoo-1-py3-none-any.whl")
    assert fault in found
