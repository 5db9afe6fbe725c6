"""Plain output of commands."""

from __future__ import annotations

import typer

from umzoo.printable import printable


def say(text: object, err: bool = False, color: str | None = None) -> None:
    """Print *text* and a line feed, on stderr with *err*; control characters are escaped."""
    typer.secho(printable(text), err=err, fg=color)
