"""Tables that commands print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def table(*columns: str, title: str | None = None) -> Table:
    """Return an empty table; all columns but the last fold long words."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    result = Table(*columns, title=title, title_justify="left", show_header=any(columns), box=SIMPLE_HEAD)
    for column in result.columns[:-1]:
        column.overflow = "fold"
    return result


def fact_table(title: str, facts: Mapping[str, Any]) -> Table:
    """Return a table of names and values; empty values are left out."""
    from rich.text import Text

    result = table("", "", title=title)
    for name, value in facts.items():
        if value not in (None, "", (), {}, []):
            result.add_row(name, Text(str(value)))
    return result
