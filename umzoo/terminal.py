"""The terminal: umzoo's colored output, which shows untrusted text as plain text."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from umzoo.printable import printable


class Terminal(Console):
    """A console without markup that escapes control characters.

    Control sequences added by rich (colors, cursor) are kept. Progress bars are animated on terminals only: a notebook
    would keep every frame.
    """

    def __init__(self, file: IO[str] | None = None, stderr: bool = False, **options: Any) -> None:
        stream = file or (sys.stderr if stderr else sys.stdout)
        moves = stream is not None and stream.isatty()
        options = {"force_interactive": moves, "force_jupyter": False, **options}
        super().__init__(file=file, stderr=stderr, markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of *renderable* with printable text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
