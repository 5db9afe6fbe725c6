"""Packages of the components of a recipe, and the error if one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from umzoo.engine.recipe import Recipe
from umzoo.errors import PluginError
from umzoo.plugins import zoo


def plugins_of(recipe: Recipe) -> dict[str, str]:
    """Return the packages of the components of *recipe*, except umzoo, with their versions."""
    found = zoo()
    plugins = [found.plugin_of(kind, name) for kind, name in _parts(recipe) if name in found.registries[kind]]
    return {plugin.origin: plugin.version for plugin in plugins if plugin.origin not in ("", "umzoo")}


def require_plugins(recipe: Recipe, packages: Mapping[str, str], what: str) -> None:
    """Check that the components of *recipe* are installed.

    Args:
        recipe: recipe of *what*.
        packages: packages of its components, with their versions.
        what: description of the object that needs them, for the message.

    Raises:
        PluginError: if not; the message names the missing packages.
    """
    if not packages or all(name in zoo().registries[kind] for kind, name in _parts(recipe)):
        return
    if missing := [package for package in packages if not _is_installed(package)]:
        named = " and ".join(f"{package} {packages[package]}".strip() for package in missing)
        raise PluginError(
            f"{what} was made with {named}, which {'is' if len(missing) == 1 else 'are'} not installed:"
            f" pip install {' '.join(missing)}, or the folder it is developed in"
        )


def _parts(recipe: Recipe) -> list[tuple[str, str]]:
    """Return kind and name of each component of *recipe*."""
    corruptions, tasks = recipe.pretext.corruptions, recipe.pretext.tasks
    named = [("corruption", spec.name) for spec in corruptions] + [("pretext_task", spec.name) for spec in tasks]
    return [("backbone", recipe.backbone.name), *named]


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
