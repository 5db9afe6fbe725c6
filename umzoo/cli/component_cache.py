"""The components of all plug-ins, as commands list them: cached until an installed package changes.

Listing them requires importing the plug-ins, and with them torch and the libraries of their networks, which takes
seconds.
"""

from __future__ import annotations

import gc
import hashlib
import inspect
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umzoo.cli.options import describe
from umzoo.files import replace_text, user_cache

if TYPE_CHECKING:
    from umzoo.weights.catalog.entry import WeightsEntry

log = logging.getLogger(__name__)

FILE = "listing.json"


@dataclass(frozen=True)
class Entry:
    """A component or weights.

    Attributes:
        name: its name.
        size: parameters of a backbone.
        origin: package that registers it.
        license: its own license, or that of its package.
        text: summary in one line.
        about: its docstring.
        citations: what to cite.
        options: name, default, meaning and choices of each option.
        facts: metadata of weights.
    """

    name: str
    size: str
    origin: str
    license: str
    text: str
    about: str = ""
    citations: list[str] = field(default_factory=list)
    options: list[list[str]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Brought:
    """A plug-in: its components by kind, or why it was not loaded."""

    name: str
    origin: str
    version: str
    reason: str
    entries: dict[str, list[str]]


@dataclass(frozen=True)
class Shown:
    """Everything that listings show.

    Attributes:
        entries: of each kind, sorted by name.
        weights: what :func:`umzoo.weights.catalog.search.facts` says of each.
        catalog: the registered weights by name.
        plugins: in the order they were loaded.
    """

    entries: dict[str, list[Entry]]
    weights: list[dict[str, Any]]
    catalog: dict[str, WeightsEntry]
    plugins: list[Brought]


def shown() -> Shown:
    """Return the content of listings, from the cache if nothing has changed."""
    key, file = _key(), user_cache() / FILE
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return _read(**kept["shown"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.debug("%s is rebuilt: %s", file, error)
    with _without_collection():
        made = _look()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_text(file, json.dumps({"key": key, "shown": asdict(made)}))
    except OSError as error:
        log.debug("%s cannot be written: %s", file, error)
    return made


def _read(
    entries: dict[str, list[Any]], weights: list[dict[str, Any]], catalog: dict[str, Any], plugins: list[Any]
) -> Shown:
    """The inverse of ``asdict``."""
    found = {kind: [Entry(**entry) for entry in of_kind] for kind, of_kind in entries.items()}
    known = {name: _weights_entry(fields) for name, fields in catalog.items()}
    return Shown(found, weights, known, [Brought(**plugin) for plugin in plugins])


def _weights_entry(fields: dict[str, Any]) -> WeightsEntry:
    """Registered weights from JSON, which has lists for tuples."""
    from umzoo.weights.catalog.entry import WeightsEntry

    values: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in fields.items()}
    return WeightsEntry(**values)


def _key() -> str:
    """Cache key of all installed code: folders of packages, and every module of umzoo and of its plug-ins."""
    found = sorted((it.name, it.value, it.dist.version if it.dist else "") for it in entry_points(group="umzoo"))
    packages = sorted({"umzoo", *(value.partition(":")[0].partition(".")[0] for _, value, _ in found)})
    state = [
        sys.version,
        os.environ.get("UMZOO_PLUGINS"),
        found,
        [(str(path), path.stat().st_mtime_ns) for path in map(Path, sys.path) if _holds_packages(path)],
        [line for package in packages for line in _modules(package)],
    ]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _holds_packages(path: Path) -> bool:
    """Whether *path* is a folder that changes when a package is installed."""
    return path.name.endswith("-packages") and path.is_dir()


def _modules(package: str) -> Iterator[tuple[str, int, int]]:
    """Path, time and size of each module of *package*, without importing it."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return
    places = [*(spec.submodule_search_locations or ()), *filter(None, (spec.origin,))] if spec else []
    for place in places:
        for file in sorted(Path(place).rglob("*.py")) if Path(place).is_dir() else [Path(place)]:
            if file.is_file():
                yield str(file), file.stat().st_mtime_ns, file.stat().st_size


def _look() -> Shown:
    """Load the plug-ins and collect their components."""
    from umzoo import plugins
    from umzoo.weights.catalog.search import facts
    from umzoo.weights.networks.construction import count_parameters

    zoo = plugins.zoo()

    def size(backbone: str) -> str:
        count = count_parameters(backbone)
        return "?" if count is None else f"{count / 1e6:.1f} M"

    entries: dict[str, list[Entry]] = {}
    for kind, registry in zoo.registries.items():
        entries[kind] = []
        for name in registry.list():
            plugin = zoo.plugin_of(kind, name)
            license = getattr(registry[name], "license", "") or plugin.license
            large = size(name) if kind == "backbone" else ""
            more = _details(registry[name])
            entries[kind].append(Entry(name, large, plugin.origin, license, registry.summary(name), **more))
    catalog = {name: zoo.weights[name] for name in zoo.weights.list()}
    weights = [facts(entry) for entry in catalog.values()]
    brought = [Brought(it.name, it.origin, it.version, it.reason, it.entries) for it in zoo.plugins]
    return Shown(entries, weights, catalog, brought)


def _details(entry: Any) -> dict[str, Any]:
    """The fields of :class:`Entry` beyond the summary line."""
    if not isinstance(entry, type):
        known = {name: str(value) for name, value in vars(entry).items() if value not in (None, "", ())}
        return {"facts": known}
    options = [
        [option, default, meaning, ", ".join(choices)]
        for option, default, meaning, choices in describe(getattr(entry, "Config"))  # noqa: B009 - mypy knows no class
    ]
    citations = list(getattr(entry, "citations", ()))
    about = inspect.cleandoc(entry.__doc__ or "").replace("``", "`")
    return {"about": about, "citations": citations, "options": options}


@contextmanager
def _without_collection() -> Iterator[None]:
    """Turn off garbage collection, which takes a quarter of the time when thousands of modules are imported."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
