"""Packages for authors work as they are written."""

import importlib
import os
import subprocess
import sys

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from umzoo.authoring.new import KINDS, RECIPES, create_package, taken
from umzoo.engine.recipe import load_recipe
from umzoo.errors import ConfigError
from umzoo.plugins import zoo


def install(package, site):
    """What ``pip install -e`` leaves behind: metadata with the entry points; the folder itself is put on the path."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["umzoo"].items()
    (info / "entry_points.txt").write_text("[umzoo]\n" + "".join(f"{name} = {value}\n" for name, value in points))
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(package), *sys.path[:1]))}


@pytest.mark.slow
def test_the_packages_pass_their_own_tests_and_the_check(tmp_path, monkeypatch, run):
    """Installed side by side, in a fresh process and in this one."""
    packages = {kind: create_package(f"my_{kind}", kind, tmp_path) for kind in KINDS}
    for package in packages.values():
        install(package, tmp_path / "site")
    places = [str(place) for place in (tmp_path / "site", *packages.values())]
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((*places, *sys.path[:1]))}
    done = subprocess.run(
        [*tests, *packages.values()], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.setattr(sys, "path", [*places, *sys.path])
    importlib.invalidate_caches()
    zoo.cache_clear()
    try:
        for kind in ("pretext_task", "head"):  # each package's own tests make the same checks
            assert f"my_{kind}" in run("plugin", "check", f"my_{kind}")
    finally:
        zoo.cache_clear()


def test_files_have_no_blanks_left(tmp_path):
    for kind in KINDS:
        package = create_package("a-b", kind, tmp_path / kind)
        assert package.name == "umzoo-a-b"
        names = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
        assert names >= {
            "pyproject.toml",
            "README.md",
            "umzoo_a_b.py",
            "tests/test_a_b.py",
            ".github/workflows/test.yml",
        }
        assert not any("$" in file.read_text() for file in package.rglob("*") if file.is_file())


@pytest.mark.parametrize("kind", RECIPES)
def test_the_recipe_uses_the_component(kind, tmp_path):
    recipe = load_recipe(create_package("my_thing", kind, tmp_path) / "recipe.toml")
    used = {recipe.backbone.name, *(spec.name for spec in (*recipe.pretext.corruptions, *recipe.pretext.tasks))}
    assert "my_thing" in used
    assert all(name in zoo_names() for name in used - {"my_thing"})


def zoo_names():
    return {name for registry in zoo().registries.values() for name in registry}


@pytest.mark.parametrize("name", ["", "2d", "Uppercase", "a b", "../x", "a.b", "class"])
def test_impossible_names_are_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="lower_snake_case"):
        create_package(name, "head", tmp_path)


def test_nothing_is_overwritten(tmp_path):
    package = create_package("thing", "head", tmp_path)
    (package / "README.md").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        create_package("thing", "head", tmp_path)
    assert (package / "README.md").read_text() == "mine"
    with pytest.raises(ConfigError, match="did you mean 'head'"):
        create_package("other", "heads", tmp_path)


def test_names_that_are_taken_are_told():
    assert taken("brand_new", "pretext_task") == []
    (told,) = taken("restoration", "pretext_task")
    assert told.startswith("pretext task 'restoration' is there already, from umzoo")
    assert taken("restoration", "head") == [], "another kind may have the name"


def test_a_module_that_is_installed_is_told(tmp_path, monkeypatch):
    (tmp_path / "umzoo_brand_new.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (told,) = taken("brand-new", "head")
    assert told.startswith("a module 'umzoo_brand_new' is installed already")
