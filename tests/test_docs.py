"""The documentation says what the code does."""

import importlib.util
import re

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib
from pathlib import Path

import pytest

from umzoo.plugins import zoo

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("plugins/*/README.md")])


def test_recipes_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.FILE.read_text(encoding="utf-8") == generate.render(), "run: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_python_in_the_text_are_real(page):
    from umzoo.cli import COMMANDS, GROUPS

    known = {name for commands in COMMANDS.values() for name in commands} | GROUPS.keys()
    for language, block in re.findall(r"```(\w*)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        if language == "python":
            compile(block, str(page), "exec")
        elif language == "toml":
            tomllib.loads(block)
        else:
            assert set(re.findall(r"^umzoo (\w+)", block, re.MULTILINE)) <= known
            for group, (_, _, commands) in GROUPS.items():
                assert set(re.findall(rf"^umzoo {group} (\w+)", block, re.MULTILINE)) <= commands.keys()


def test_methods_page_lists_every_pretext_task():
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    missing = [name for name in zoo().pretext_tasks if f"| `{name}`" not in page]
    assert not missing, "run: python benchmarks/methods.py"


def test_methods_page_shows_the_committed_results(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from learning import section

    assert (ROOT / "docs" / "methods.md").read_text(encoding="utf-8").endswith(section())


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_recipes_are_valid(recipe):
    from umzoo.engine.recipe import load_recipe

    parsed = load_recipe(recipe.stem)
    zoo().backbones.options(parsed.backbone)
    for spec in parsed.pretext.corruptions:
        zoo().corruptions.options(spec)
    for task in parsed.pretext.tasks:
        zoo().pretext_tasks.options(task)
