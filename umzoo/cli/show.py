"""``umzoo show``: one entry of the zoo, or one recipe, with its options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from umzoo.cli.output import say
from umzoo.cli.tables import Listing

if TYPE_CHECKING:
    from umzoo.cli.component_cache import Entry


def show(
    name: Annotated[str, typer.Argument(help="a component, weights, or a shipped recipe")],
    kind: Annotated[str | None, typer.Option(help="its kind, if the name is ambiguous: see 'umzoo list'")] = None,
) -> None:
    """Show what NAME is, its package, and its options with their defaults."""
    from umzoo.cli.component_cache import shown
    from umzoo.engine.recipe import shipped_recipes
    from umzoo.errors import UnknownNameError, nearest

    entries = shown().entries
    found = [
        (each, it) for each, of_kind in entries.items() for it in of_kind if it.name == name and kind in (None, each)
    ]
    recipes = shipped_recipes() if kind in (None, "recipe") else {}
    for each, entry in found:
        _show_entry(each, entry)
    if name in recipes:
        say(f"recipe {name}: {recipe_summary(recipes[name])}")
        say(f"{recipes[name]}")
    elif not found:
        known = [*recipes, *(it.name for of_kind in entries.values() for it in of_kind)]
        raise UnknownNameError(f"no entry '{name}'{nearest(name, known)}: 'umzoo list' shows all")


def recipe_summary(file: Path) -> str:
    """Return the comment at the top of the recipe in *file*, in one line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ") for line in lines[:first])


def _show_entry(kind: str, entry: Entry) -> None:
    say(f"{kind} {entry.name}, from {entry.origin}")
    if entry.about:
        say(entry.about)
    for citation in entry.citations:
        say(f"cite: {citation}")
    rows = Listing("option", "default", "meaning") if entry.options else Listing("", "")
    for option, default, meaning, choices in entry.options:
        rows.add_row(option, default, meaning + (f" ({choices})" if choices else ""))
    for name, value in entry.facts.items():
        rows.add_row(name, value)
    if rows.rows:
        rows.show()
