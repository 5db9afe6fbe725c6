"""``umzoo quickstart``: a tour on synthetic volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for everything the tour makes.")] = Path("demo"),
) -> None:
    """Take the tour on synthetic CT and MR: prepare, pre-train, export, fine-tune, compare. A few minutes on a CPU."""
    from umzoo.downstream.quickstart import QuickstartConfig
    from umzoo.downstream.quickstart import quickstart as run
    from umzoo.terminal import Terminal

    run(out, QuickstartConfig(), Terminal())
