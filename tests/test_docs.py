"""The documentation says what the code does."""

import importlib
import re

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from umzoo.cli import make_app
from umzoo.plugins import zoo

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("plugins/*/README.md")])
GENERATED = ("api.md", "recipes.md", "zoo.md")


@pytest.fixture
def generate(monkeypatch):
    """The module that writes the pages made from the code."""
    monkeypatch.delenv("UMZOO_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("generate")


@pytest.fixture(scope="module")
def app():
    """The command line as click sees it."""
    return get_command(make_app())


@pytest.mark.parametrize("page", GENERATED)
def test_pages_made_from_the_code_are_up_to_date(generate, page):
    if page == "zoo.md" and (missing := generate.zoo.missing_packages()):
        pytest.skip(f"not installed: {', '.join(missing)}")
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert written == generate.PAGES[page](), "run: python docs/generate.py"


def test_every_generated_page_is_tested(generate):
    assert generate.PAGES.keys() == {*GENERATED}


def test_the_gallery_is_up_to_date(generate):
    if missing := generate.zoo.missing_packages():
        pytest.skip(f"not installed: {', '.join(missing)}")
    written = {file.name: file.read_text(encoding="utf-8") for file in generate.GALLERY.glob("*.md")}
    assert written == generate.gallery.render(), "run: python docs/generate.py"


def test_the_gallery_has_a_page_for_each_entry(generate):
    names = {f"{name}.md" for name in generate.zoo.own_zoo().weights}
    assert names == {file.name for file in generate.GALLERY.glob("*.md")} - {"README.md"}


def test_links_and_commands_of_the_gallery_are_real(generate, app):
    """One page for each importer, as all of them are made by the same lines."""
    entries = generate.zoo.own_zoo().weights
    pages = {entries[name].importer: generate.GALLERY / f"{name}.md" for name in entries}
    for page in (generate.GALLERY / "README.md", *pages.values()):
        test_links_and_pictures_exist(page)
        test_commands_in_the_text_are_real(page, app)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_and_toml_in_the_text_are_real(page):
    for language, block in re.findall(r"```(\w*)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        if language == "python":
            compile(block, str(page), "exec")
        elif language == "toml":
            tomllib.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_are_real(page, app):
    text = page.read_text(encoding="utf-8")
    for line in re.findall(r"(?:^|`)umzoo ([^`\n|]+)", text, re.MULTILINE):
        command, words = app, line.split()
        while getattr(command, "commands", None) and words and not words[0].startswith("-"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        given = {word.partition("=")[0].rstrip(",.") for word in words if word.startswith("-")}
        assert given <= known | {"--help"}, line


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_the_overview_names_every_page():
    links = re.findall(r"\]\(([\w-]+\.md)", (ROOT / "docs" / "README.md").read_text(encoding="utf-8"))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} <= set(links)


def test_methods_page_lists_every_pretext_task(generate):
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    missing = [name for name in generate.zoo.own_zoo().pretext_tasks if f"| `{name}`" not in page]
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


def test_every_row_of_the_conformance_report_is_explained():
    from umzoo.testing import CHECKS

    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    kinds = {}
    for row in re.findall(r"^\| (`.*`) \| (.*?) \| .* \|$", page, re.MULTILINE):
        kinds |= dict.fromkeys(re.findall(r"`(.*?)`", row[0]), row[1])
    for kind, checks in CHECKS.items():
        for title in (promise.title for promise in checks.promises()):
            assert title in kinds, title
            named, left_out = kind.replace("_", " ") in kinds[title], "all but" in kinds[title]
            assert named != left_out, f"{kind}: {title}"
