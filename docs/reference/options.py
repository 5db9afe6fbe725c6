"""Markdown tables, mainly of options: a row for each field of a ``Config``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from umzoo.cli.options import describe as plain
from umzoo.config import Config

HEADER = ("option", "default", "meaning")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table and a blank line; nothing if there are no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if lines:
        yield from (f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}", *lines, "")


def options_of(config: type[Config], skip: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the table of the options of *config*, except those in *skip*."""
    rows = ((f"`{name}`", default, meaning) for name, default, meaning in describe(config) if name not in skip)
    yield from table(HEADER, rows)


def options_of_all(configs: dict[str, type[Config]]) -> Iterator[str]:
    """Yield one table for components whose options have the same meaning; it lists defaults that differ."""
    described = {name: list(describe(config)) for name, config in configs.items()}
    rows = []
    for options in zip(*described.values(), strict=True):
        option, _, meaning = options[0]
        defaults = {default for _, default, _ in options}
        shared = ", ".join(f"{it[1]} ({name})" for name, it in zip(described, options, strict=True))
        rows.append((f"`{option}`", defaults.pop() if len(defaults) == 1 else shared, meaning))
    yield from table(HEADER, rows)


def describe(config: type[Config]) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and meaning of each option, in Markdown."""
    for name, default, meaning, choices in plain(config):
        shown = default if default in ("none", "required") else f"`{default}`"
        words = f" ({', '.join(f'`{choice}`' for choice in choices)})" if choices else ""
        yield name, shown, cell(meaning) + words


def cell(text: str) -> str:
    """Return *text* escaped for a table cell."""
    return text.replace("|", "\\|")
