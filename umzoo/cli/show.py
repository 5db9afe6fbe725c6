"""``umzoo show``: one entry of the zoo, or one recipe, with its options."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from umzoo.cli.output import say
from umzoo.cli.tables import Listing


def show(
    name: Annotated[str, typer.Argument(help="a component, weights, or a recipe that ships with umzoo")],
    kind: Annotated[str | None, typer.Option(help="its kind, where several have the name: see 'umzoo list'")] = None,
) -> None:
    """Show what NAME is, who brings it, and its options with their defaults."""
    from umzoo.engine.recipe import shipped_recipes
    from umzoo.errors import UnknownNameError, nearest
    from umzoo.plugins import zoo

    registries = zoo().registries
    found = [each for each in registries if name in registries[each].list() and kind in (None, each)]
    recipes = shipped_recipes() if kind in (None, "recipe") else {}
    for each in found:
        _show_entry(each, name)
    if name in recipes:
        say(f"recipe {name}: {recipe_summary(recipes[name])}")
        say(f"{recipes[name]}")
    elif not found:
        known = [*recipes, *(it for each in registries.values() for it in each.list())]
        raise UnknownNameError(f"no entry '{name}'{nearest(name, known)}: 'umzoo list' shows all")


def recipe_summary(file: Path) -> str:
    """Return the comment at the top of the recipe in *file*, in one line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ") for line in lines[:first])


def _show_entry(kind: str, name: str) -> None:
    from umzoo.plugins import zoo

    found = zoo()
    entry, plugin = found.registries[kind][name], found.plugin_of(kind, name)
    say(f"{kind} {name}, from {plugin.origin}")
    if not isinstance(entry, type):
        _show_fields(entry)
        return
    say(inspect.cleandoc(entry.__doc__ or "").replace("``", "`"))
    for citation in getattr(entry, "citations", ()):
        say(f"cite: {citation}")
    _show_options(entry)


def _show_fields(entry: Any) -> None:
    rows = Listing("", "")
    for name, value in vars(entry).items():
        if value not in (None, "", ()):
            rows.add_row(name, str(value))
    rows.show()


def _show_options(entry: Any) -> None:
    from umzoo.cli.options import describe

    rows = Listing("option", "default", "meaning")
    for option, default, meaning, choices in describe(entry.Config):
        rows.add_row(option, default, meaning + (f" ({', '.join(choices)})" if choices else ""))
    if rows.rows:
        rows.show()
