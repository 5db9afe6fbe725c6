"""``umzoo plugin``: for authors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(
    name: Annotated[str, typer.Argument(help="name of the component, such as inverted_volumes")],
    kind: Annotated[str, typer.Option(help="pretext_task, backbone, corruption, head or importer")] = "pretext_task",
    folder: Annotated[Path, typer.Option(help="where to make the package")] = Path(),
) -> None:
    """Write a package with one working example, its entry point and tests."""
    from umzoo.authoring.new import create_package

    made = create_package(name, kind, folder)
    typer.echo(f"wrote {made}; next: pip install -e '{made}[dev]', then pytest {made}")


def check(
    name: Annotated[
        str | None, typer.Argument(help="plug-in or package; all that are not umzoo's own if left out")
    ] = None,
) -> None:
    """Check what a plug-in registered; exit code 1 if something does not hold."""
    from rich.console import Console
    from rich.text import Text

    from umzoo.authoring.check import check_plugins
    from umzoo.cli.tables import Listing

    results, console = [], Console()
    with console.status("checking") as status:
        for result in check_plugins(name):
            results.append(result)
            status.update(f"checking: {result.component}, {result.check} done")
    if not results:
        console.print("nothing to check: no other plug-in is installed that brings something to run")
        return
    rows = Listing("kind", "name", "check", "holds", "")
    for result in results:
        colour = {"yes": "green", "no": "red"}.get(result.outcome, "yellow")
        rows.add_row(result.kind, result.component, result.check, Text(result.outcome, style=colour), result.note)
    rows.show()
    if any(result.outcome == "no" for result in results):
        raise typer.Exit(1)
