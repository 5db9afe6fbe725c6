"""``umzoo list`` and ``umzoo plugins``."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from umzoo.cli.output import say
from umzoo.cli.tables import Listing

if TYPE_CHECKING:
    from umzoo.plugins import Zoo
    from umzoo.registry import Registry
    from umzoo.weights.find import Wanted


def list_(
    kind: Annotated[
        str | None, typer.Argument(help="backbone, corruption, pretext_task, head, weights, importer")
    ] = None,
    pattern: Annotated[str, typer.Argument(help="shell pattern, such as '*unet*'")] = "*",
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="registered weights: 'umzoo list --pretrained [PATTERN]'")
    ] = False,
    use: Annotated[str | None, typer.Option(help="of these, those whose license allows it: commercial, share")] = None,
    modality: Annotated[str | None, typer.Option(help="of these, those trained on it: ct, mr, pet")] = None,
    region: Annotated[str | None, typer.Option(help="of these, those trained on it: head, brain, chest, ...")] = None,
    takes: Annotated[
        str | None, typer.Option(help="of these, those for networks of it: nnunet, monai, torchvision")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="registered weights as JSON")] = False,
) -> None:
    """List what the plug-ins bring, all kinds or one, by name; in a pipe one line each, with tabs in between."""
    with _without_collection():
        from umzoo.errors import ConfigError
        from umzoo.plugins import zoo
        from umzoo.weights.find import Wanted

        if pretrained:
            _list_weights(zoo(), kind or pattern, Wanted(use, modality, region, takes), as_json)
            return
        if any((use, modality, region, takes, as_json)):
            raise ConfigError("--use, --modality, --region, --takes and --json go with --pretrained")
        found = [name for name, registry in _of_kind(zoo(), kind).items() if registry.list(pattern)]
        for name in found:
            _listing(zoo(), name, pattern).show()
    if not found:
        say(f"nothing of kind {kind or 'any'} matches '{pattern}'")


def plugins() -> None:
    """Show every plug-in: what it brings, or why it was not loaded."""
    from rich.text import Text

    from umzoo import __version__
    from umzoo.plugins import zoo

    rows = Listing("plug-in", "from", "version", "brings")
    for plugin in zoo().plugins:
        brings = "\n".join(f"{kind}: {', '.join(names)}" for kind, names in plugin.entries.items())
        status = Text(f"not loaded: {plugin.reason}", style="red") if plugin.reason else Text(brings or "nothing")
        version = plugin.version or (__version__ if plugin.origin == "umzoo" else "")
        rows.add_row(plugin.name, plugin.origin, version, status)
    rows.show()


def _of_kind(zoo: Zoo, kind: str | None) -> dict[str, Registry]:
    """Registries of the *kind* that the user means (``backbones`` and ``pretext-task`` are understood too), or all."""
    from umzoo.errors import UnknownNameError, nearest

    if kind is None:
        return zoo.registries
    asked = kind.lower().replace("-", "_")
    chosen = {name: it for name, it in zoo.registries.items() if name in (asked, asked.removesuffix("s"))}
    if not chosen:
        known = zoo.registries
        raise UnknownNameError(f"unknown kind '{kind}'{nearest(kind, known)}: give one of {', '.join(known)}")
    return chosen


def _listing(zoo: Zoo, kind: str, pattern: str) -> Listing:
    """Entries of *kind* that match *pattern*: size, package, license, and what each is."""
    rows, registry = Listing("name", "parameters", "from", "license", "", group=kind, cut=True), zoo.registries[kind]
    for name in registry.list(pattern):
        plugin = zoo.plugin_of(kind, name)
        license = getattr(registry[name], "license", "") or plugin.license
        rows.add_row(name, _size(name) if kind == "backbone" else "", plugin.origin, license, registry.summary(name))
    return rows


def _list_weights(zoo: Zoo, pattern: str, wanted: Wanted, as_json: bool) -> None:
    """Show the registered weights that match *pattern* and are *wanted*: their license, and where they are."""
    from umzoo.weights.find import facts
    from umzoo.weights.licenses import license_class

    entries = [zoo.weights[name] for name in zoo.weights.list(pattern) if wanted.fits(zoo.weights[name])]
    if as_json:
        say(json.dumps([facts(entry) for entry in entries], indent=2))
        return
    rows = Listing("weights", "license", "use", "where, and what")
    for entry in entries:
        where = f"{entry.location}@{entry.revision[:12]}" if entry.revision else entry.location
        kind = license_class(entry.license, entry.license_link)
        rows.add_row(entry.name, entry.license, kind, f"{where}\n{entry.description}")
    if rows.rows:
        rows.show()
    else:
        say(f"no registered weights match '{pattern}': look on the Hub with 'umzoo search'")


def _size(backbone: str) -> str:
    """Parameters of *backbone* with its default options, in millions."""
    from umzoo.weights.construct import count_parameters

    count = count_parameters(backbone)
    return "?" if count is None else f"{count / 1e6:.1f} M"


@contextmanager
def _without_collection() -> Iterator[None]:
    """Spare the garbage collector, which takes a quarter of the time in which thousands of modules are imported."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
