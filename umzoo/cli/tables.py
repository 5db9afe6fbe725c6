"""Listings of commands: a table on a terminal, otherwise one line per row for ``grep`` and ``cut``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

LEAST_ROOM = 20
"""Minimum width of the last column of a table, in characters."""


class Listing:
    """Rows of text under named columns; a table without names has no header.

    On a terminal the last column gets the remaining width, and its text is wrapped, or with *cut* truncated; other
    columns are never wrapped. If a table is still too wide, the terminal wraps it. Empty columns are left out.

    Args:
        columns: names of the columns.
        title: heading above the rows.
        group: a value that all rows share: the title on a terminal, otherwise the first cell of each line.
        cut: truncate the last column, so that each row is one line.
    """

    def __init__(self, *columns: str, title: str = "", group: str = "", cut: bool = False) -> None:
        self.columns, self.title, self.group, self.cut = columns, title, group, cut
        self.rows: list[tuple[str | Text, ...]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row with as many cells as there are columns."""
        self.rows.append(cells)

    def show(self) -> None:
        """Print the rows."""
        from umzoo.cli.output import say
        from umzoo.terminal import Terminal

        console = Terminal()
        if not console.is_terminal:
            for line in self.lines():
                say(line)
            return
        table = self._table()
        last = table.columns[-1]
        last.max_width = LEAST_ROOM
        least = console.measure(table, options=console.options.update(width=10_000)).maximum
        last.max_width += max(0, console.width - least)
        console.width = max(least, console.width)
        console.print(table)

    def lines(self) -> list[str]:
        """Return the title, if there is one, and each row with tabs between its cells.

        Lines of the last cell become cells of their own.
        """
        result = [self.title] if self.title else []
        for *front, last in self.rows:
            cells = [self.group] if self.group else []
            cells += [" ".join(str(cell).split()) for cell in front]
            cells += [" ".join(line.split()) for line in str(last).splitlines() if line.strip()] or [""]
            result.append("\t".join(cells))
        return result

    def _table(self) -> Table:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        title, header = self.title or self.group or None, any(self.columns)
        style: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "box": SIMPLE_HEAD, "pad_edge": False}
        table = Table(title=title, show_header=header, **style)
        used = [n for n in range(len(self.columns)) if any(str(row[n]) for row in self.rows)]
        for n in used:
            table.add_column(self.columns[n], no_wrap=True)
        if not self.cut:
            table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
        for row in self.rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in (row[n] for n in used)))
        return table


def fact_table(title: str, facts: Mapping[str, Any]) -> Listing:
    """Return names and values as rows; empty values are left out."""
    result = Listing("", "", title=title)
    for name, value in facts.items():
        if value not in (None, "", (), {}, []):
            result.add_row(name, str(value))
    return result
