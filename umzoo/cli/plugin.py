"""``umzoo plugin``: for authors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from umzoo.cli.output import say

if TYPE_CHECKING:
    from rich.console import Console

    from umzoo.authoring.check import Result

COLORS = {"yes": "green", "no": "red", "unknown": "red", "n/a": "bright_black"}
"""Colors of outcomes; others are yellow."""


def new(
    name: Annotated[str, typer.Argument(help="name of the component, such as inverted_volumes")],
    kind: Annotated[str, typer.Option(help="pretext_task, backbone, corruption, head or importer")] = "pretext_task",
    folder: Annotated[Path, typer.Option(help="where to make the package")] = Path(),
) -> None:
    """Write a package with one working example, its entry point and tests."""
    import logging

    from umzoo.authoring.new import create_package, taken

    made = create_package(name, kind, folder)
    for what in taken(name, kind):
        logging.getLogger(__name__).warning("%s; give another name", what)
    say(f"wrote {made}; next: pip install -e '{made}[dev]', then pytest {made}")


def check(
    name: Annotated[str | None, typer.Argument(help="plug-in or package; default: all except umzoo's own")] = None,
) -> None:
    """Check the components of a plug-in, with a row for each requirement; exit code 1 if a check fails."""
    from umzoo.authoring.check import check_plugins
    from umzoo.terminal import Terminal

    results: list[Result] = []
    console, interrupted = Terminal(highlight=False), False
    with console.status("looking for plug-ins") as status:
        try:
            for result in check_plugins(name, lambda entry, title: status.update(f"{entry}: {title}")):
                _print_row(console, result, new=not results or results[-1].subject != result.subject)
                results.append(result)
        except KeyboardInterrupt:
            interrupted = True
    if console.is_terminal:
        console.print()
    console.print(f"{'interrupted; ' if interrupted else ''}{_summary(results)}")
    if interrupted:
        raise typer.Exit(130)
    if any(result.outcome in ("no", "unknown") for result in results):
        raise typer.Exit(1)


def _print_row(console: Console, result: Result, new: bool) -> None:
    """Print *result*: on a terminal below a heading if its component is *new*, otherwise as a tab-separated line."""
    from rich.table import Table
    from rich.text import Text

    seconds = f"{result.seconds:.1f} s"
    if not console.is_terminal:
        say("\t".join((*result.subject, result.check, result.outcome, seconds, result.note)))
        return
    if new:
        console.print(Text.assemble("\n", (result.component, "bold"), f" ({result.kind.replace('_', ' ')})"))
    row = Table.grid(padding=(0, 1))
    for width in (35, 7, 7, None):
        row.add_column(width=width, justify="right" if len(row.columns) == 2 else "left")
    outcome = Text(result.outcome, style=COLORS.get(result.outcome, "yellow"))
    row.add_row(f"  {result.check}", outcome, seconds, Text(result.note))
    console.print(row)


def _summary(results: list[Result]) -> str:
    if not results:
        return "nothing was checked: no other installed plug-in registers a component"
    counts = Counter(result.outcome for result in results)
    found = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    return f"{len(results)} checks in {sum(result.seconds for result in results):.0f} s: {found}"
