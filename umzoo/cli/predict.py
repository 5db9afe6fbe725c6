"""``umzoo predict``: predictions of a fine-tuned network for new scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umzoo.cli.output import say
from umzoo.cli.scan_options import Cpu, Modality, Scans, default_device, say_left_out


def predict(
    ref: Annotated[str, typer.Argument(help="fine-tuned weights: a folder, org/name[@revision], or architecture.tag")],
    scans: Scans,
    out: Annotated[Path, typer.Option(help="folder for masks on each scan's own grid, or for predictions.csv")],
    ensemble: Annotated[
        list[str] | None, typer.Option(help="weights of another fold, to average with; repeatable")
    ] = None,
    modality: Modality = None,
    flips: Annotated[bool, typer.Option("--flips", help="average over mirrored images; 8 times slower")] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="also write the probability maps of a segmentation")
    ] = False,
    pictures: Annotated[bool, typer.Option("--pictures", help="draw each segmentation over its scan")] = False,
    mask: Annotated[
        str | None, typer.Option(help="masks that crops are centered on, such as 'masks/{name}.nii.gz'")
    ] = None,
    cpu: Cpu = False,
) -> None:
    """Predict new scans with a fine-tuned network: masks on each scan's own grid, or a table of classes and numbers."""
    import umzoo
    from umzoo.cli.progress import scan_bar
    from umzoo.downstream.embed.masks_and_maps import mask_reader
    from umzoo.downstream.prediction.folder import predict_scans
    from umzoo.scans.listing import list_scans
    from umzoo.scans.load import input_of

    device, _ = default_device(cpu)
    models = [umzoo.from_pretrained(one, head=True, device=device) for one in (ref, *(ensemble or ()))]
    answer = models[0].answer
    listing = list_scans(scans, input_of(models[0]), modality or (), answer.modalities if answer else ())
    with scan_bar("predicting") as progress:
        skipped = predict_scans(
            models,
            listing,
            out,
            flips=flips,
            probabilities=probabilities,
            pictures=pictures,
            mask=mask_reader(mask) if mask else None,
            progress=progress,
        )
    say_left_out(skipped)
    say(f"{listing.found - len(skipped)} scans predicted in {out}")
