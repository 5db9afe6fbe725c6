"""``umzoo browse``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umzoo.cli.output import say


def browse(
    place: Annotated[
        str, typer.Argument(help="store, run, weights, evaluation, fold of nnU-Net, or table of 'umzoo embed'")
    ],
    options: Annotated[list[str] | None, typer.Argument(help="of a backbone --into, as in_channels=4")] = None,
    out: Annotated[Path | None, typer.Option(help="HTML file to write; by default named like PLACE, here")] = None,
    map: Annotated[str, typer.Option(help="map of vectors: pca, tsne, or umap (pip install umap-learn)")] = "pca",
    table: Annotated[Path | None, typer.Option(help="of vectors: CSV or JSON lines with targets of the scans")] = None,
    target: Annotated[list[str] | None, typer.Option(help="column of --table to color by; repeatable")] = None,
    into: Annotated[
        str | None,
        typer.Option(help="of weights: what they would do for this backbone, weights, or nnU-Net plans (.json)"),
    ] = None,
    configuration: Annotated[str, typer.Option("--configuration", "-c", help="of the plans --into")] = "3d_fullres",
) -> None:
    """Write one HTML file that shows what is at PLACE; it needs neither server nor network."""
    from umzoo.downstream.browse.folders import page_of
    from umzoo.downstream.browse.into import transfer_page
    from umzoo.errors import ConfigError
    from umzoo.hub.pulling.references import resolve

    if options and into is None:
        raise ConfigError(f"options go with --into BACKBONE: leave out {' '.join(options)}")
    here = Path(place).exists()
    found = Path(place) if here else resolve(place)
    if into is None:
        page = page_of(found, map, table, target or ())
    else:
        page = transfer_page(found, into, options or (), configuration)
    file = out or Path(f"{found.resolve().name if here else place.replace('/', '-')}.html")
    page.write(file)
    say(f"wrote {file} ({file.stat().st_size / 1e6:.1f} MB): open it in a browser, no other file is needed")
