"""A progress bar for commands that process scans one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def scan_bar(doing: str) -> Iterator[Callable[[int, int, int], None]]:
    """Yield a function that shows finished scans, their total, skipped scans, and the remaining time."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from umzoo.terminal import Terminal

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Terminal(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_interactive) as bar:
        task = bar.add_task(doing, total=None)

        def show(done: int, total: int, left_out: int) -> None:
            text = f"{doing}, {left_out} left out" if left_out else doing
            bar.update(task, completed=done, total=total, description=text)

        yield show
