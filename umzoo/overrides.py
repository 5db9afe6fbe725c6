"""Overrides of options on the command line: ``trainer.steps=100``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from umzoo.errors import ConfigError, in_one_line
from umzoo.files import MAX_DEPTH, toml_table

KEPT = ("name", "as", "weight")
"""Keys of a component's table that are not the component's own options."""


def apply_overrides(table: dict[str, Any], overrides: Sequence[str]) -> None:
    """Apply *overrides* in order. Another ``name`` for a component drops the options of the replaced one.

    So ``backbone.name=resenc_unet_l`` removes ``width``; options set by other overrides stay.

    Raises:
        ConfigError: as :func:`apply_override`.
    """
    given = {override.partition("=")[0].strip() for override in overrides}
    for override in overrides:
        path = override.partition("=")[0].strip()
        parent, _, last = path.rpartition(".")
        before = _find(table, parent) if parent and last == "name" else None
        replaced = before.get("name") if isinstance(before, dict) else None
        apply_override(table, override)
        if isinstance(before, dict) and replaced not in (None, before["name"]):
            mine = {key for key in before if any(f"{it}.".startswith(f"{parent}.{key}.") for it in given)}
            for key in before.keys() - mine - set(KEPT):
                del before[key]


def _find(table: Any, path: str) -> Any:
    """The value at *path* of *table*; None if there is none."""
    for part in path.split("."):
        if isinstance(table, list):
            table = table[_index(table, part, path)]
        else:
            table = table.get(part) if isinstance(table, dict) else None
    return table


def apply_override(table: dict[str, Any], override: str) -> None:
    """Set one value of *table*, in place, by ``a.b.0.c=value``.

    The value is read as TOML, or as a string if it is not TOML.

    Raises:
        ConfigError: if *override* does not have that form, or its path does not exist.
    """
    path, separator, text = override.partition("=")
    if not separator or not path or path.count(".") > MAX_DEPTH:
        raise ConfigError(f"an override is 'key.sub=value', got '{in_one_line(override, 200)}'")
    value = _value(text)
    *parents, last = path.strip().split(".")
    target: Any = table
    for part in parents:
        if isinstance(target, list):
            target = target[_index(target, part, override)]
        elif isinstance(target, dict):
            target = target.setdefault(part, {})
        else:
            raise ConfigError(f"override '{override}': '{part}' is not a table")
    if isinstance(target, list):
        target[_index(target, last, override)] = value
    elif isinstance(target, dict):
        target[last] = value
    else:
        raise ConfigError(f"override '{override}': '{'.'.join(parents)}' is not a table")


def _value(text: str) -> Any:
    """*text* as a TOML value, or *text* itself if it is not valid TOML or too deeply nested."""
    try:
        return toml_table(f"value = {text}", "the value")["value"]
    except ConfigError:
        return text


def _index(items: list[Any], part: str, override: str) -> int:
    """Position of *part* in a list of tables: a number, or the name of an entry."""
    if part.isdigit() and int(part) < len(items):
        return int(part)
    names = [item.get("as", item.get("name")) for item in items if isinstance(item, dict)]
    if part in names:
        return names.index(part)
    raise ConfigError(f"override '{override}': no entry '{part}' (entries: {', '.join(map(str, names))})")
