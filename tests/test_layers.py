"""The shape of the code: imports point down, modules and functions stay small, entry points load."""

import ast
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "umzoo"

LAYERS = [
    {"printable", "terminal"},
    {"blame", "sandbox", "errors", "config", "files", "overrides", "pickles", "registry", "spec"},
    {"hookspecs", "fields", "noise"},
    {"backbones", "data"},
    {"augmentation", "corruptions", "heads", "scans"},
    {"plugins", "builtin"},
    {"pretext"},
    {"weights"},
    {"engine", "testing"},
    {"api", "authoring", "hub", "nnunet", "downstream"},
    {"cli", "hubconf", "__main__"},
]
"""From the bottom up; a module imports from its own layer and those below."""

DATA_MAY_USE = {"data", "spec", "fields", "config", "errors", "files", "noise", "pickles", "printable", "sandbox"}

ROOMS = ["phantoms", "reading", "store", "preparing", "preprocessed", "loading"]
"""Folders of data, in an order in which none imports from those behind it."""


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def unit(file):
    """The part of the package that *file* belongs to: ``umzoo/data/store/reader.py`` belongs to ``data``."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_units(file):
    """Parts of umzoo that *file* imports, at its top or inside functions; annotations only do not count."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {id(node) for guard in ast.walk(tree) if _is_type_checking(guard) for node in ast.walk(guard)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "umzoo":
            yield from (alias.name for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("umzoo."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("umzoo."))


def _is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def level(part):
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file):
    part = unit(file)
    if part == "__init__":
        return
    wrong = {other for other in imported_units(file) if level(other) > level(part)}
    assert not wrong, f"{part} imports {wrong}"
    if part == "data":
        assert set(imported_units(file)) <= DATA_MAY_USE


def test_folders_of_data_import_one_way():
    for file in (PACKAGE / "data").glob("*/**/*.py"):
        own = ROOMS.index(file.relative_to(PACKAGE / "data").parts[0])
        found = re.findall(r"^\s*from umzoo\.data\.(\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert all(ROOMS.index(other) <= own for other in found), file


def test_the_picture_shows_these_layers():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = page.partition("## Layers")[2].partition("```text")[2].partition("```")[0]
    rows = [set(row.split()) for row in re.findall(r"^\| (.+?) *\|", picture, re.MULTILINE)]
    assert rows == [layer - {"__main__"} for layer in reversed(LAYERS)]


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(file):
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def loaded_after(statements, *suspects):
    """Which of the modules *suspects* a fresh interpreter has loaded after *statements*."""
    program = f"{statements}\nimport sys\nprint(*[m for m in {suspects!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def test_import_loads_neither_torch_nor_plugins():
    suspects = ("torch", "numpy", "pydantic", "pluggy", "timm", "umzoo.plugins", "umzoo_rotation")
    assert loaded_after("import umzoo", *suspects) == []


def test_command_line_loads_nothing_heavy():
    suspects = ("torch", "numpy", "pydantic", "nibabel", "SimpleITK", "umzoo.plugins")
    assert loaded_after("from umzoo.cli import make_app; make_app()", *suspects) == []


def test_training_and_loading_need_no_scan_reader():
    modules = "umzoo.api, umzoo.engine.trainer, umzoo.data.store.reader, umzoo.weights.folder.tensors"
    statements = f"import {modules}\nfrom umzoo.plugins import zoo\nzoo()"
    assert loaded_after(statements, "nibabel", "SimpleITK", "pydicom") == []


@pytest.mark.parametrize("group", ["console_scripts", "umzoo"])
def test_entry_points_load(group):
    ours = [entry for entry in entry_points(group=group) if entry.dist and entry.dist.name.startswith("umzoo")]
    assert ours
    for entry in ours:
        entry.load()
