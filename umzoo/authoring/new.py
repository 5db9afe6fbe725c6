"""Template of a plug-in package: one working example with entry point, tests, CI and README."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from umzoo import __version__
from umzoo.errors import ConfigError, nearest
from umzoo.hookspecs import INTERFACE
from umzoo.plugins import zoo

KINDS = {
    "pretext_task": "A pretext task",
    "backbone": "A backbone",
    "corruption": "A corruption",
    "head": "A head",
    "importer": "An importer",
}
"""Kinds of components with a template, and the start of the package's description."""


BACKBONE = 'name = "plainconv_unet"\nfeatures_per_stage = [8, 16, 32]'
RECIPES = {
    "pretext_task": (BACKBONE, 'tasks = [{{ name = "{}" }}]'),
    "backbone": ('name = "{}"', 'corruptions = [{{ name = "paint" }}]\ntasks = [{{ name = "restoration" }}]'),
    "corruption": (BACKBONE, 'corruptions = [{{ name = "{}" }}]\ntasks = [{{ name = "restoration" }}]'),
}
"""Content of ``[backbone]`` and ``[pretext]`` in a recipe with the component, whose name replaces the braces."""
TRY_IT = "`umzoo pretrain recipe.toml --data STORE --out RUN` trains with it. "


def create_package(name: str, kind: str, parent: Path) -> Path:
    """Write a package for a component *name* of *kind* into *parent*; return its folder.

    Args:
        name: ``lower_snake_case`` (or with dashes); the folder is ``umzoo-NAME``, the module ``umzoo_NAME``.
        kind: a key of :data:`KINDS`.
        parent: parent folder of the package.

    Raises:
        ConfigError: if the name or kind is invalid, or the folder exists.
    """
    if kind not in KINDS:
        raise ConfigError(f"unknown kind '{kind}'{nearest(kind, KINDS)}: give one of {', '.join(KINDS)}")
    component = _component(name)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", component) or keyword.iskeyword(component):
        raise ConfigError(f"a name is lower_snake_case, such as 'inverted_volumes', got '{name}'")
    folder = parent / f"umzoo-{component.replace('_', '-')}"
    if folder.exists():
        raise ConfigError(f"{folder} exists already: give another name or folder")
    words = _words(component, kind)
    for path, template in _layout(words["module"], component, kind).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_render(template, words), encoding="utf-8")
    return folder


def taken(name: str, kind: str) -> list[str]:
    """Return a sentence for each existing component or module with the names of a package for *name* and *kind*."""
    component = _component(name)
    registry, module = zoo().registries[kind], f"umzoo_{component}"
    found = []
    if component in registry:
        owner = zoo().plugin_of(kind, component).origin or registry.owner(component)
        found.append(f"{registry.kind} '{component}' is there already, from {owner}: both cannot be installed together")
    if find_spec(module) is not None:
        found.append(f"a module '{module}' is installed already: Python would import one instead of the other")
    return found


def _component(name: str) -> str:
    """Return the component's name for a package called *name*."""
    return name.removeprefix("umzoo-").replace("-", "_")


def _words(component: str, kind: str) -> dict[str, str]:
    module = f"umzoo_{component}"
    backbone, pretext = (part.format(component) for part in RECIPES.get(kind, ("", "")))
    return {
        "backbone": backbone,
        "pretext": pretext,
        "try_it": TRY_IT if kind in RECIPES else "",
        "component": component,
        "module": module,
        "distribution": module.replace("_", "-"),
        "entry_point": component,
        "class_name": "".join(word.capitalize() for word in component.split("_")),
        "kind": kind,
        "kind_words": kind.replace("_", " "),
        "summary": f"{KINDS[kind]} called {component}",
        "version": __version__,
        "interface": str(INTERFACE),
    }


def _layout(module: str, component: str, kind: str) -> dict[str, str]:
    """Return the files of the package with their templates."""
    return {
        "pyproject.toml": "pyproject.toml.txt",
        "README.md": "README.md.txt",
        f"{module}.py": f"{kind}.py.txt",
        f"tests/test_{component}.py": f"test_{kind}.py.txt",
        ".github/workflows/test.yml": "ci.yml.txt",
        **({"recipe.toml": "recipe.toml.txt"} if kind in RECIPES else {}),
    }


def _render(template: str, words: dict[str, str]) -> str:
    text = (files("umzoo.authoring") / "templates" / template).read_text(encoding="utf-8")
    return Template(text).substitute(words)
