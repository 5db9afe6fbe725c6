"""``umzoo browse``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umzoo.cli.output import say


def browse(
    folder: Annotated[Path, typer.Argument(help="store, run, weights folder or evaluation")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write; default: FOLDER.html in the current folder")
    ] = None,
) -> None:
    """Write one HTML file that shows a store, a run, weights or an evaluation; it needs no server and no network."""
    from umzoo.downstream.browse.folders import page_of

    file = out or Path(f"{folder.resolve().name}.html")
    page_of(folder).write(file)
    say(f"wrote {file} ({file.stat().st_size / 1e6:.1f} MB): open it in a browser; it contains the images it shows")
