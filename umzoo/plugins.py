"""Finds plug-ins and fills the registries. A plug-in loads completely or not at all, and never breaks the others."""

from __future__ import annotations

import difflib
import functools
import importlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, metadata
from typing import Any, get_origin

import pluggy

from umzoo import hookspecs
from umzoo.builtin import BUILTINS, PACKAGES
from umzoo.errors import PluginError, in_one_line, nearest
from umzoo.registry import Component, Registry

log = logging.getLogger(__name__)

KINDS = {
    "backbone": "umzoo.backbones.base:Backbone",
    "corruption": "umzoo.corruptions.base:Corruption",
    "pretext_task": "umzoo.pretext.base:PretextTask",
    "head": "umzoo.heads.base:Head",
    "weights": "umzoo.weights.catalog.entry:WeightsEntry",
    "importer": "umzoo.weights.importers.base:Importer",
}
"""Kind of entry to the base class its entries must have."""

HOOKS = {
    "register_backbones": "backbone",
    "register_corruptions": "corruption",
    "register_pretext_tasks": "pretext_task",
    "register_heads": "head",
    "register_weights": "weights",
    "register_importers": "importer",
}

SIMILAR = 0.78
"""Similarity (0 to 1, by difflib) above which a name counts as a misspelling; ``veiws`` and ``views``: 0.8."""


@dataclass
class Plugin:
    """One plug-in and its entries. ``reason`` is the reason why it was not loaded, or empty."""

    name: str
    origin: str
    version: str = ""
    reason: str = ""
    entries: dict[str, list[str]] = field(default_factory=dict)

    @property
    def license(self) -> str:
        """License of the plug-in's package from its metadata; empty if there is none, or it is not installed."""
        if not self.origin:
            return ""
        try:
            known = metadata(self.origin).json
        except PackageNotFoundError:
            return ""
        return str(known.get("license_expression") or known.get("license") or "").strip().partition("\n")[0]


class Zoo:
    """All registries, and the plug-ins that filled them."""

    def __init__(self) -> None:
        self.backbones: Registry[Any] = Registry("backbone")
        self.corruptions: Registry[Any] = Registry("corruption")
        self.pretext_tasks: Registry[Any] = Registry("pretext task")
        self.heads: Registry[Any] = Registry("head")
        self.weights: Registry[Any] = Registry("weights")
        self.importers: Registry[Any] = Registry("importer")
        self.plugins: list[Plugin] = []
        for registry in self.registries.values():
            registry.elsewhere = PACKAGES
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    @property
    def registries(self) -> dict[str, Registry[Any]]:
        """Registries by kind, as in :data:`KINDS`."""
        return {
            "backbone": self.backbones,
            "corruption": self.corruptions,
            "pretext_task": self.pretext_tasks,
            "head": self.heads,
            "weights": self.weights,
            "importer": self.importers,
        }

    def plugin_of(self, kind: str, name: str) -> Plugin:
        """Return the plug-in that registered entry *name* of *kind*; its origin is empty if it was added by hand."""
        owner = self.registries[kind].owner(name)
        brought = (plugin for plugin in self.plugins if plugin.name == owner and not plugin.reason)
        return next(brought, Plugin(owner, origin=""))

    def load(self, plugin: Any, name: str, origin: str, version: str = "") -> None:
        """Load one plug-in object (a module or anything with hook implementations).

        Raises:
            PluginError: with the reason; then nothing of the plug-in is registered.
        """
        self._refuse_twins(plugin, name, origin)
        _check_interface(plugin, name)
        staged = self._stage(plugin, name)
        for kind, entries in staged.items():
            for entry_name, entry in entries.items():
                self.registries[kind].add(entry_name, entry, name)
                if isinstance(entry, type) and issubclass(entry, Component):
                    entry.package = origin
        names = {kind: sorted(entries) for kind, entries in staged.items() if entries}
        self.plugins.append(Plugin(name, origin, version, entries=names))

    def _stage(self, plugin: Any, name: str) -> dict[str, dict[str, Any]]:
        staged: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        try:
            self._manager.register(plugin, name)
            for hook, implementation in self._implementations(plugin):
                kind = HOOKS[hook]
                implementation(functools.partial(_stage_entry, staged[kind], kind))
            self._refuse_collisions(staged, name)
        except (Exception, SystemExit) as error:
            self._manager.unregister(name=name)
            self._mark_broken(staged, name, f"plug-in '{name}' failed to load: {_one_line(error)}")
            raise PluginError(_one_line(error)) from error
        return staged

    def _implementations(self, plugin: Any) -> list[tuple[str, Callable[..., object]]]:
        """The hooks that *plugin* implements, and their functions."""
        callers = self._manager.get_hookcallers(plugin) or []
        for caller in callers:
            if caller.name not in HOOKS:
                raise PluginError(f"there is no hook '{caller.name}'{nearest(caller.name, HOOKS)}")
        names = {caller.name for caller in callers}
        unmarked = [hook for hook in HOOKS if hook not in names and callable(getattr(plugin, hook, None))]
        if unmarked or not names:
            raise PluginError(f"{unmarked[0] if unmarked else 'one hook at least'} must be marked with @umzoo.hookimpl")
        return [
            (caller.name, implementation.function)
            for caller in callers
            for implementation in caller.get_hookimpls()
            if implementation.plugin is plugin
        ]

    def _refuse_twins(self, plugin: Any, name: str, origin: str) -> None:
        """Refuse a second plug-in with the same name, and the same plug-in under two names."""
        for other in self.plugins:
            if other.name == name and not other.reason:
                raise PluginError(f"two plug-ins are called '{name}', from '{other.origin}' and from '{origin}'")
        if (known := self._manager.get_name(plugin)) is not None:
            raise PluginError(f"it is the plug-in '{known}' under another name")

    def _refuse_collisions(self, staged: dict[str, dict[str, Any]], name: str) -> None:
        builtin = {plugin.name for plugin in self.plugins if plugin.origin == "umzoo"}
        for kind, entries in staged.items():
            registry = self.registries[kind]
            for entry_name in [entry_name for entry_name in entries if entry_name in registry]:
                owner = registry.owner(entry_name)
                reason = (
                    f"{registry.kind} '{entry_name}' is registered by both '{owner}' and '{name}':"
                    " rename one, or pick one with UMZOO_PLUGINS"
                )
                if owner not in builtin:
                    registry.mark_broken(entry_name, reason)
                raise PluginError(reason)

    def _mark_broken(self, staged: dict[str, dict[str, Any]], name: str, reason: str) -> None:
        for kind, entries in staged.items():
            for entry_name in entries:
                if entry_name not in self.registries[kind]:
                    self.registries[kind].mark_broken(entry_name, reason)

    def load_entry_point(self, entry_point: EntryPoint) -> None:
        """Load a third party's plug-in; a failure is recorded and logged, never raised."""
        distribution = entry_point.dist
        origin = distribution.name if distribution else entry_point.value
        version = distribution.version if distribution else ""
        try:
            self.load(entry_point.load(), entry_point.name, origin, version)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in may raise anything
            reason = _one_line(error)
            self.plugins.append(Plugin(entry_point.name, origin, version, reason=reason))
            for registry in self.registries.values():
                registry.failed_plugins.append(entry_point.name)
            log.warning("plug-in '%s' was not loaded: %s", entry_point.name, reason)


def _stage_entry(staged: dict[str, Any], kind: str, entry: Any) -> None:
    """Check *entry* and add it to *staged* under its name."""
    module, _, attribute = KINDS[kind].partition(":")
    base = getattr(importlib.import_module(module), attribute)
    fits = issubclass(entry, base) if isinstance(entry, type) and not get_origin(entry) else isinstance(entry, base)
    if not fits:
        raise PluginError(f"a {kind} must be a {KINDS[kind].replace(':', '.')}, got {entry!r}")
    name = getattr(entry, "name", "")
    if not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z0-9_.-]+" if kind == "weights" else r"[a-z][a-z0-9_]*", name):
        wanted = "a 'name' like architecture.tag" if kind == "weights" else "a lower_snake_case 'name'"
        raise PluginError(f"{kind} {entry!r} needs {wanted}, got {name!r}")
    if missing := getattr(entry, "__abstractmethods__", None):
        raise PluginError(f"{kind} '{name}' does not implement {', '.join(sorted(missing))}")
    if name in staged:
        raise PluginError(f"{kind} '{name}' is registered twice by one plug-in")
    for given, wanted in misspelled(entry, base):
        log.warning("%s '%s' has '%s', which umzoo never uses: was '%s' meant?", kind, name, given, wanted)
    staged[name] = entry


def misspelled(entry: Any, base: type) -> Iterator[tuple[str, str]]:
    """Yield each public member of class *entry* whose name is close to one of *base*, with the latter's name.

    Members of *base* that *entry* overrides are not considered.
    """
    if not isinstance(entry, type):
        return
    offered = {*vars(base), *vars(base).get("__annotations__", {})} - vars(entry).keys()
    offered = {name for name in offered if not name.startswith("_")}
    for name in vars(entry):
        if not name.startswith("_") and not hasattr(base, name) and name not in offered:
            near = difflib.get_close_matches(name, offered, n=1, cutoff=SIMILAR)
            yield from ((name, wanted) for wanted in near)


def _check_interface(plugin: Any, name: str) -> None:
    """Compare the interface version of *plugin* (``UMZOO_INTERFACE``) with umzoo's."""
    written_for = getattr(plugin, "UMZOO_INTERFACE", hookspecs.INTERFACE)
    if written_for == hookspecs.INTERFACE:
        return
    if not isinstance(written_for, int) or written_for > hookspecs.INTERFACE:
        raise PluginError(
            f"it is written for plug-in interface {written_for!r}, this umzoo has {hookspecs.INTERFACE}: update umzoo"
        )
    changes = [text for number, text in sorted(hookspecs.CHANGES.items()) if number > written_for]
    since = f"; since then: {'; '.join(changes)}" if changes else f", umzoo has {hookspecs.INTERFACE}"
    message = f"it is written for plug-in interface {written_for}{since}"
    if written_for < hookspecs.OLDEST_INTERFACE:
        raise PluginError(f"{message}: change it, and set UMZOO_INTERFACE = {hookspecs.INTERFACE}")
    log.warning("plug-in '%s': %s; this still works, but not in the next release", name, message)


def _one_line(error: BaseException) -> str:
    text = in_one_line(error)
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"


def _chosen(found: Iterable[EntryPoint]) -> list[EntryPoint]:
    """The entry points chosen by ``UMZOO_PLUGINS`` (all if unset, none if empty), sorted by name."""
    ordered = sorted(found, key=lambda entry_point: entry_point.name)
    choice = os.environ.get("UMZOO_PLUGINS")
    if choice is None:
        return ordered
    wanted = {name.strip() for name in choice.split(",") if name.strip()}
    installed = {entry_point.name for entry_point in ordered}
    if unknown := wanted - installed:
        raise PluginError(
            f"UMZOO_PLUGINS names plug-ins that are not installed: {', '.join(sorted(unknown))}"
            f" (installed: {', '.join(sorted(installed)) or 'none'})"
        )
    return [entry_point for entry_point in ordered if entry_point.name in wanted]


def load_zoo(found: Iterable[EntryPoint]) -> Zoo:
    """Build a :class:`Zoo` from the built-ins and the entry points *found*."""
    result = Zoo()
    for name, module in BUILTINS.items():
        result.load(importlib.import_module(module), name, "umzoo")
    for entry_point in _chosen(found):
        result.load_entry_point(entry_point)
    return result


@functools.lru_cache(maxsize=1)
def zoo() -> Zoo:
    """The zoo of this process, loaded on first use."""
    return load_zoo(entry_points(group=hookspecs.PROJECT))
