"""Packages that brought the components of a recipe, and what to say if one is gone."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from umzoo.engine.recipe import Recipe
from umzoo.errors import PluginError
from umzoo.plugins import zoo


def plugins_of(recipe: Recipe) -> dict[str, str]:
    """Return the packages that brought components of *recipe*, with their versions; umzoo itself is left out."""
    parts = [("backbone", recipe.backbone.name)]
    parts += [("corruption", spec.name) for spec in recipe.pretext.corruptions]
    parts += [("pretext_task", spec.name) for spec in recipe.pretext.tasks]
    found = zoo()
    plugins = [found.plugin_of(kind, name) for kind, name in parts if name in found.registries[kind]]
    return {plugin.origin: plugin.version for plugin in plugins if plugin.origin not in ("", "umzoo")}


def require_plugins(packages: Mapping[str, str], what: str) -> None:
    """Make sure that the *packages*, with their versions, which *what* was made with are installed.

    Raises:
        PluginError: naming those that are not.
    """
    missing = [f"{package} {known}".strip() for package, known in packages.items() if not _is_installed(package)]
    if missing:
        raise PluginError(
            f"{what} was made with {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed:"
            f" pip install {' '.join(name.partition(' ')[0] for name in missing)}, or the folder it is developed in"
        )


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
