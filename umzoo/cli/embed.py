"""``umzoo embed``: vectors from scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def embed(
    ref: Annotated[str, typer.Argument(help="weights: a folder, org/name[@revision], or architecture.tag")],
    scans: Annotated[list[str], typer.Argument(help="files, DICOM folders, folders, manifests or a prepared store")],
    out: Annotated[Path, typer.Option(help="table to write (.parquet, .csv, .npz), or a folder with --dense")],
    modality: Annotated[
        list[str] | None, typer.Option(help="ct, mr, ... for all scans, or MODALITY=PATTERN for some; repeatable")
    ] = None,
    per: Annotated[str, typer.Option(help="a vector for each: scan, or window")] = "scan",
    roi: Annotated[
        str, typer.Option(help="one vector a label of a mask: its path, {name} stands for the scan's file name")
    ] = "",
    levels: Annotated[str, typer.Option(help="levels of features, joined: 0 the finest, -1 the coarsest")] = "-1",
    pooling: Annotated[str, typer.Option(help="mean, max or mean+max")] = "mean",
    patch_size: Annotated[str, typer.Option(help="window in voxels, D,H,W; default: that of the weights")] = "",
    overlap: Annotated[float, typer.Option(help="least share by which windows overlap")] = 0.0,
    batch_size: Annotated[int, typer.Option(min=1, help="windows a forward pass")] = 1,
    dense: Annotated[bool, typer.Option("--dense", help="write feature maps as NIfTI on each scan's own grid")] = False,
    cpu: Annotated[bool, typer.Option("--cpu", help="stay on the CPU")] = False,
) -> None:
    """Turn scans into vectors, one a scan, for nearest neighbours, a spreadsheet or scikit-learn."""
    import umzoo
    from umzoo.cli.progress import scan_bar
    from umzoo.downstream.embed.config import EmbedConfig
    from umzoo.downstream.embed.table import embed_scans
    from umzoo.downstream.embed.work import default_device, mask_reader, numbers, write_dense
    from umzoo.scans.listing import list_scans
    from umzoo.scans.load import input_of

    device, precision = default_device(cpu)
    options: dict[str, Any] = {
        "per": "roi" if roi else per,
        "levels": numbers(levels, "--levels"),
        "pooling": pooling,
        "patch_size": numbers(patch_size, "--patch-size") if patch_size else None,
        "overlap": overlap,
        "batch_size": batch_size,
        "precision": precision,
    }
    config = EmbedConfig.parse(options)
    model = umzoo.from_pretrained(ref, device=device)
    listing = list_scans(scans, input_of(model), modality or ())
    with scan_bar("embedding") as progress:
        if dense:
            skipped = write_dense(model, listing, out, progress)
            done = f"{len(listing.scans) - len(skipped) + len(listing.refused)} maps in {out}"
        else:
            found = embed_scans(model, listing, out, config, mask_reader(roi) if roi else None, progress)
            skipped, done = found.skipped, f"{found.rows} vectors in {out}"
    for name, reason in skipped:
        typer.echo(f"left out {name}: {reason}", err=True)
    typer.echo(done)
