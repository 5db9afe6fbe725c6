"""``umzoo list`` and ``umzoo plugins``."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Annotated, Any

import typer

from umzoo.cli.output import say
from umzoo.cli.tables import Listing

if TYPE_CHECKING:
    from umzoo.cli.component_cache import Entry


def list_(
    kind: Annotated[
        str | None, typer.Argument(help="backbone, corruption, pretext_task, head, weights, importer, recipe")
    ] = None,
    pattern: Annotated[str, typer.Argument(help="shell pattern, such as '*unet*'")] = "*",
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="registered weights: 'umzoo list --pretrained [PATTERN]'")
    ] = False,
    use: Annotated[
        str | None, typer.Option(help="with --pretrained: weights whose license allows this use: commercial, share")
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="with --pretrained: weights trained on this modality: ct, mr, pet")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="with --pretrained: weights trained on this region: head, brain, chest, ...")
    ] = None,
    takes: Annotated[
        str | None,
        typer.Option(help="with --pretrained: weights for networks of this library: nnunet, monai, torchvision"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="registered weights as JSON")] = False,
) -> None:
    """List the components of all plug-ins, all kinds or one, by name; in a pipe one tab-separated line each."""
    from umzoo.cli.component_cache import shown
    from umzoo.errors import ConfigError

    if pretrained:
        from umzoo.weights.catalog.search import Wanted

        wanted = Wanted(use, modality, region, takes)
        _show_weights([it for it in shown().weights if wanted.fits(it)], kind or pattern, as_json)
        return
    if any((use, modality, region, takes, as_json)):
        raise ConfigError("--use, --modality, --region, --takes and --json go with --pretrained")
    if kind in ("recipe", "recipes"):
        _show_recipes(pattern)
        return
    found = False
    for name, entries in _of_kind(shown().entries, kind).items():
        rows = Listing("name", "parameters", "from", "license", "", group=name, cut=True)
        for entry in entries:
            if fnmatch(entry.name, pattern):
                rows.add_row(entry.name, entry.size, entry.origin, entry.license, entry.text)
        if rows.rows:
            rows.show()
            found = True
    if not found:
        say(f"nothing matches '{pattern}'{f' among {kind}' if kind else ''}: 'umzoo list' shows all")


def _show_recipes(pattern: str) -> None:
    from umzoo.cli.show import recipe_summary
    from umzoo.engine.recipe import shipped_recipes

    rows = Listing("recipe", "", cut=True)
    for name, file in shipped_recipes().items():
        if fnmatch(name, pattern):
            rows.add_row(name, recipe_summary(file).partition(". ")[0].rstrip("."))
    if rows.rows:
        rows.show()
    else:
        say(f"no recipe matches '{pattern}': 'umzoo list recipes' shows all")


def plugins() -> None:
    """Show every plug-in: its components, or why it was not loaded."""
    from rich.text import Text

    from umzoo import __version__
    from umzoo.cli.component_cache import shown

    rows = Listing("plug-in", "from", "version", "brings")
    for plugin in shown().plugins:
        brings = "\n".join(f"{kind}: {', '.join(names)}" for kind, names in plugin.entries.items())
        status = Text(f"not loaded: {plugin.reason}", style="red") if plugin.reason else Text(brings or "nothing")
        version = plugin.version or (__version__ if plugin.origin == "umzoo" else "")
        rows.add_row(plugin.name, plugin.origin, version, status)
    rows.show()


def _of_kind(entries: dict[str, list[Entry]], kind: str | None) -> dict[str, list[Entry]]:
    """Entries of *kind* (variants such as ``backbones`` and ``pretext-task`` are accepted), or all."""
    from umzoo.errors import UnknownNameError, nearest

    if kind is None:
        return entries
    asked = kind.lower().replace("-", "_")
    chosen = {name: it for name, it in entries.items() if name in (asked, asked.removesuffix("s"))}
    if not chosen:
        raise UnknownNameError(f"unknown kind '{kind}'{nearest(kind, entries)}: give one of {', '.join(entries)}")
    return chosen


def _show_weights(found: list[dict[str, Any]], pattern: str, as_json: bool) -> None:
    """Show the weights in *found* whose names match *pattern*, with license and location."""
    found = [it for it in found if fnmatch(it["name"], pattern)]
    if as_json:
        say(json.dumps(found, indent=2))
        return
    rows = Listing("weights", "license", "use", "where, and what")
    for it in found:
        where = f"{it['location']}@{it['revision'][:12]}" if it["revision"] else it["location"]
        rows.add_row(it["name"], it["license"], it["license_class"], f"{where}\n{it['description']}")
    if rows.rows:
        rows.show()
    else:
        say(f"no registered weights match '{pattern}': look on the Hub with 'umzoo search'")
