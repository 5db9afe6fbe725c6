"""The terminal: what umzoo prints in color goes through here, and what others wrote stays text on the way."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from umzoo.printable import printable


class Terminal(Console):
    """A console that knows no markup, and shows characters that would act on a terminal as their codes.

    What rich itself adds (colors, cursor) is not touched. Progress bars move on terminals only: a notebook, which asks
    for colors too, would keep every frame.
    """

    def __init__(self, file: IO[str] | None = None, stderr: bool = False, **options: Any) -> None:
        stream = file or (sys.stderr if stderr else sys.stdout)
        moves = stream is not None and stream.isatty()
        options = {"force_interactive": moves, "force_jupyter": False, **options}
        super().__init__(file=file, stderr=stderr, markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of *renderable*, their text printable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
