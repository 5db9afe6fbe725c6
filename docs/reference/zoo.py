"""The page on the zoo: every entry of umzoo and the packages under ``plugins/``, with its options."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import Any

from reference.components import SECTIONS
from reference.options import cell, describe, options_of_all, table
from umzoo import hookspecs
from umzoo.errors import PluginError
from umzoo.plugins import HOOKS, KINDS, Zoo, load_zoo

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLUGINS = Path(__file__).parents[2] / "plugins"

INTRODUCTION = """\
# What is in the zoo

<!-- Written by docs/generate.py from the registry itself: change the code, then run it. -->

This page lists everything that umzoo and the packages under `plugins/` register. `umzoo list` shows what is installed
on your machine, including other plug-ins. Parameters, channels and strides are those of the default options. A default
of `none` means that the option is off, or derived from others as its meaning says; `required` means that it must be
given.
"""

INTERFACE = """\
[plugins.md](plugins.md) explains the hooks. This version of umzoo has interface {now}, and loads plug-ins that are
written for {oldest} or later (`UMZOO_INTERFACE`).
"""


def missing_packages() -> list[str]:
    """Return the packages under ``plugins/`` that are not installed."""
    return [name for name in _packages() if not _is_installed(name)]


def own_zoo() -> Zoo:
    """Return what umzoo and the packages under ``plugins/`` register, whatever else is installed."""
    packages = _packages()
    found = entry_points(group=hookspecs.PROJECT)
    return load_zoo([entry for entry in found if entry.dist is not None and entry.dist.name in packages])


def render() -> str:
    """Return the whole page.

    Raises:
        PluginError: if a plug-in under ``plugins/`` was not loaded, or a backbone cannot be built.
    """
    zoo = own_zoo()
    if broken := [f"{plugin.name} ({plugin.reason})" for plugin in zoo.plugins if plugin.reason]:
        raise PluginError(f"the page needs all plug-ins under plugins/; not loaded: {', '.join(broken)}")
    sections = (line for kind in SECTIONS for line in _section(zoo, kind))
    return "\n".join([INTRODUCTION, *_contents(zoo), *sections, *_interface()])


def _packages() -> list[str]:
    """Names of the packages under ``plugins/``."""
    files = sorted(PLUGINS.glob("*/pyproject.toml"))
    return [tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"] for file in files]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _contents(zoo: Zoo) -> Iterator[str]:
    """Number of entries of each kind that each package registers."""
    packages = {plugin.origin: plugin.license for plugin in zoo.plugins}
    rows = []
    for package, license in packages.items():
        own = [plugin.entries for plugin in zoo.plugins if plugin.origin == package]
        counts = [sum(len(entries.get(kind, ())) for entries in own) for kind in SECTIONS]
        rows.append((link(package), license, *(str(count or "") for count in counts)))
    titles = [f"[{section.title.lower()}](#{section.title.lower().replace(' ', '-')})" for section in SECTIONS.values()]
    yield from table(("package", "license", *titles), rows)


def _section(zoo: Zoo, kind: str) -> Iterator[str]:
    section, registry = SECTIONS[kind], zoo.registries[kind]
    yield f"## {section.title}\n"
    yield f"{section.text}\n"
    rows = []
    for name in registry:
        plugin, entry = zoo.plugin_of(kind, name), registry[name]
        summary = [cell(registry.summary(name))] if section.summary else []
        license, text = getattr(entry, "license", "") or plugin.license, getattr(entry, "license_link", "")
        license = f"[{license}]({text})" if text else license
        rows.append((f"`{name}`", *section.cells(entry), *summary, link(plugin.origin), license))
    summary = ["what"] if section.summary else []
    yield from table(("name", *section.columns, *summary, "package", "license"), rows)
    yield from _options(zoo, kind)


def _options(zoo: Zoo, kind: str) -> Iterator[str]:
    """The options of each component; components whose options have the same names and meanings are grouped."""
    registry, groups = zoo.registries[kind], dict[Any, list[str]]()
    for name in registry:
        config = getattr(registry[name], "Config", None)
        key = tuple((option, meaning) for option, _, meaning in describe(config)) if config else ()
        if key or not SECTIONS[kind].summary:
            groups.setdefault(key or name, []).append(name)
    for names in groups.values():
        yield f"### {', '.join(f'`{name}`' for name in names)}\n"
        if not SECTIONS[kind].summary:
            bullets = [f"- `{name}`: " if len(names) > 1 else "" for name in names]
            yield "\n".join(bullet + registry.summary(name) for bullet, name in zip(bullets, names, strict=True)) + "\n"
        yield from options_of_all({name: registry[name].Config for name in names})


def _interface() -> Iterator[str]:
    yield "## Hooks and interface\n"
    hooks = ((hook, kind.replace("_", " "), KINDS[kind].replace(":", ".")) for hook, kind in HOOKS.items())
    yield from table(("hook", "kind", "base class"), ((f"`{hook}`", kind, f"`{base}`") for hook, kind, base in hooks))
    yield INTERFACE.format(now=hookspecs.INTERFACE, oldest=hookspecs.OLDEST_INTERFACE)
    changes = ((str(number), cell(text)) for number, text in sorted(hookspecs.CHANGES.items()))
    yield from table(("interface", "changes that a plug-in has to make"), changes)


def link(package: str, up: str = "../") -> str:
    """Return the name of *package*, as a link if it is one under ``plugins/``; *up* leads to the repository."""
    return f"[{package}]({up}plugins/{package})" if (PLUGINS / package).is_dir() else package
