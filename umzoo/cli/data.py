"""``umzoo data``: the content of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umzoo.cli.output import say


def data(
    store: Annotated[
        Path, typer.Argument(help="A store made by 'umzoo prepare', or a folder preprocessed by nnU-Net v2 or nnssl.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="PNG of the contact sheet; default: in the store, or in the current folder.")
    ] = None,
    tiles: Annotated[int, typer.Option(min=1, help="Maximum number of volumes on the contact sheet.")] = 96,
) -> None:
    """Show the volumes of a store by modality and data set, and draw a contact sheet."""
    from umzoo.data.loading.open_store import open_store
    from umzoo.data.preparing.dataset_names import real_names
    from umzoo.data.store.contact_sheet import contact_sheet
    from umzoo.data.store.durable_files import LOCAL
    from umzoo.data.store.summary_table import store_table
    from umzoo.terminal import Terminal

    opened = open_store(store)
    ours = (store / "store.json").is_file()
    Terminal().print(store_table(opened, real_names(store) if ours else {}))
    target = out or (store / LOCAL if ours else Path()) / "contact_sheet.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    shown, problems = contact_sheet(opened, target, tiles)
    for problem in problems:
        say(problem)
    if problems and ours:
        say(f"Full list: umzoo store verify {store}")
    say(f"Contact sheet of {shown} of {len(opened)} volumes: {target}")
