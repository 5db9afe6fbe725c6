"""Changes to tables of options as they are written on the command line: ``trainer.steps=100``."""

from __future__ import annotations

import sys
from typing import Any

from umzoo.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]


def apply_override(table: dict[str, Any], override: str) -> None:
    """Set one value of *table*, in place, by ``a.b.0.c=value``.

    The value is read as TOML, or as a string if it is not TOML.

    Raises:
        ConfigError: if *override* is not of that form, or leads to nothing.
    """
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise ConfigError(f"an override is 'key.sub=value', got '{override}'")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
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


def _index(items: list[Any], part: str, override: str) -> int:
    """Position of *part* in a list of tables: a number, or the name of an entry."""
    if part.isdigit() and int(part) < len(items):
        return int(part)
    names = [item.get("as", item.get("name")) for item in items if isinstance(item, dict)]
    if part in names:
        return names.index(part)
    raise ConfigError(f"override '{override}': no entry '{part}' (entries: {', '.join(map(str, names))})")
