"""``umzoo prepare``: from folders of scans to a training store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from umzoo.cli.output import say

if TYPE_CHECKING:
    from umzoo.data.preparing.report import Report


class Uneven(str, Enum):
    """How unevenly spaced slices are handled."""

    REFUSE = "refuse"
    RESAMPLE = "resample"


class Nan(str, Enum):
    """How volumes with voxels that are not finite are handled."""

    REFUSE = "refuse"
    FILL = "fill"


Halves = Annotated[
    bool,
    typer.Option(
        help="Also write copies at half the resolution: coarse crops load faster, for an eighth more disk space."
    ),
]
TargetColumns = Annotated[
    list[str] | None,
    typer.Option(help="Column of a manifest to keep, such as age, for supervised pre-training; repeatable."),
]


def prepare(
    sources: Annotated[
        list[str], typer.Argument(help="Folders, scans or manifests (.csv, .jsonl); NAME=PATH names the data set.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the store; an existing store is continued.")],
    modality: Annotated[
        list[str] | None,
        typer.Option(help="MODALITY=PATTERN for files without a recorded modality, such as 'ct=**/ct/**'; repeatable."),
    ] = None,
    spacing: Annotated[str, typer.Option(help="Voxel spacing in mm: 'native', one number, or three (D,H,W).")] = "1",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Worker processes; by default one per core, 0 for none.")
    ] = None,
    scheduler: Annotated[str, typer.Option(help="Dask scheduler, such as tcp://host:8786, to use its workers.")] = "",
    max_frames: Annotated[int, typer.Option(min=1, help="Volumes taken from one 4-D file, evenly spaced.")] = 16,
    uneven: Annotated[
        Uneven, typer.Option(help="Unevenly spaced slices: refuse the series, or resample it to even spacing.")
    ] = Uneven.REFUSE,
    nan: Annotated[
        Nan, typer.Option(help="Volumes with NaN: refuse them, or fill these voxels with the smallest value.")
    ] = Nan.REFUSE,
    halves: Halves = True,
    target: TargetColumns = None,
) -> None:
    """Prepare scans for training: read, orient, resample and store them, with a report on refused scans."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from umzoo.data.preparing.prepare import prepare as run
    from umzoo.data.preparing.report_text import report_lines
    from umzoo.data.preparing.resampling import parse_spacing
    from umzoo.terminal import Terminal

    console = Terminal()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _stoppable(out), Progress(*columns, console=console) as bar:
        task = bar.add_task("finding scans", total=None)

        def show(done: int, total: int, report: Report) -> None:
            kept, left = report.count("in", "known"), report.count("refused", "duplicate")
            bar.update(task, completed=done, total=total, description=f"{kept} volumes in, {left} left out")

        report = run(
            sources,
            out,
            modality=modality or (),
            spacing=parse_spacing(spacing),
            workers=workers,
            scheduler=scheduler,
            max_frames=max_frames,
            uneven=uneven.value,
            nan=nan.value,
            halves=halves,
            targets=target or (),
            progress=show,
        )
    for line in report_lines(report, out):
        say(line)
    say(f"Store: {out}\nNext: umzoo data {out}")


@contextmanager
def _stoppable(out: Path) -> Iterator[None]:
    """Print after Ctrl-C how many volumes are kept and how to continue."""
    try:
        yield
    except KeyboardInterrupt:
        index = out / "index.jsonl"
        there = index.read_bytes().count(b"\n") if index.is_file() else 0
        say(f"\nstopped: {there} volumes are kept in {out}; the same command continues from there", err=True)
        raise typer.Exit(130) from None
