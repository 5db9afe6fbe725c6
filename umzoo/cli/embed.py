"""``umzoo embed``: vectors from scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from umzoo.cli.output import say
from umzoo.cli.scan_options import Cpu, Levels, Modality, Pooling, Scans, default_device, numbers, say_left_out


def embed(
    ref: Annotated[str, typer.Argument(help="weights: a folder, org/name[@revision], or architecture.tag")],
    scans: Scans,
    out: Annotated[Path, typer.Option(help="table to write (.parquet, .csv, .npz), or a folder with --dense")],
    modality: Modality = None,
    per: Annotated[str, typer.Option(help="one vector per scan or per window: scan, window")] = "scan",
    roi: Annotated[
        str, typer.Option(help="one vector per label of a mask: path of the mask, with {name} for the scan's file name")
    ] = "",
    levels: Levels = "-1",
    pooling: Pooling = "mean",
    patch_size: Annotated[str, typer.Option(help="window in voxels, D,H,W; default: that of the weights")] = "",
    overlap: Annotated[float, typer.Option(help="minimum overlap of windows, as a share")] = 0.0,
    batch_size: Annotated[int, typer.Option(min=1, help="windows per forward pass")] = 1,
    dense: Annotated[bool, typer.Option("--dense", help="write feature maps as NIfTI on each scan's own grid")] = False,
    cpu: Cpu = False,
) -> None:
    """Turn scans into feature vectors, one per scan, for nearest neighbors, a spreadsheet or scikit-learn."""
    import umzoo
    from umzoo.cli.progress import scan_bar
    from umzoo.downstream.embed.config import EmbedConfig
    from umzoo.downstream.embed.masks_and_maps import mask_reader, write_dense
    from umzoo.downstream.embed.vector_table import embed_scans
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
            done = f"{listing.found - len(skipped)} maps in {out}"
        else:
            found = embed_scans(model, listing, out, config, mask_reader(roi) if roi else None, progress)
            skipped, done = found.skipped, f"{found.rows} vectors in {out}"
    say_left_out(skipped)
    say(done)
