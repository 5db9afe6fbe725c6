"""``umzoo store``: maintain a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umzoo.cli.output import say

StoreArgument = Annotated[Path, typer.Argument(help="A store made by 'umzoo prepare'.")]


def remove(
    store: StoreArgument,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of volumes, as in local/report.jsonl.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="All volumes of this data set; repeatable.")] = None,
    file: Annotated[list[str] | None, typer.Option(help="File a volume came from, or a pattern; repeatable.")] = None,
    patient: Annotated[list[str] | None, typer.Option(help="PatientID, or subject of a manifest; repeatable.")] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Volumes that the last report lists as changed or missing.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Allow removed volumes again, at the next prepare.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be removed, and remove nothing.")] = False,
) -> None:
    """Remove volumes for good, such as those of a patient. Preparing their files again does not bring them back."""
    from umzoo.data.preparing import maintenance

    chosen = maintenance.Selection(ids or (), source or (), file or (), patient or (), stale)
    if undo:
        back = maintenance.undo(store, chosen)
        say(f"{len(back)} volumes are allowed again: prepare their sources again")
        return
    gone = maintenance.remove(store, chosen, dry_run)
    for name in gone:
        say(f"  {name}")
    if dry_run:
        say(f"{len(gone)} volumes would be removed from {store}; nothing was done")
    else:
        say(f"{len(gone)} volumes are removed from {store} for good; weights trained on them are unchanged")


def verify(store: StoreArgument) -> None:
    """Read every array and compare it with the index; exit code 1 if something is wrong."""
    from umzoo.data.preparing import maintenance
    from umzoo.data.preparing.report_text import printable

    verdict = maintenance.verify(store)
    for problem in verdict.problems:
        say(printable(f"  {problem}"))
    for name, problem in verdict.damaged.items():
        say(printable(f"  {name} ({maintenance.file_of(store, name)}): {problem}"))
    say(f"{verdict.volumes - len(verdict.damaged)} of {verdict.volumes} volumes are intact")
    if verdict.damaged:
        say(f"To repair: prepare their sources again, umzoo prepare SOURCE --out {store}")
    if verdict.problems:
        say(f"To repair index and ledger: umzoo store compact {store}")
    if not verdict.sound:
        raise typer.Exit(1)


def pack(
    store: StoreArgument,
    out: Annotated[Path, typer.Argument(help="Folder of the packed store, which must not exist.")],
    gigabytes: Annotated[float, typer.Option(min=0.001, help="Size of a shard.")] = 1.0,
) -> None:
    """Write the volumes into few large files, for network file systems and for reading over https://, s3://, hf://."""
    from umzoo.data.store import shards

    volumes, files = shards.pack(store, out, int(gigabytes * 1e9))
    say(f"{volumes} volumes in {files} shards: {out}")


def halve(store: StoreArgument) -> None:
    """Make missing copies of the volumes at half the resolution, from which coarse crops load faster."""
    from umzoo.data.preparing import maintenance

    made, volumes = maintenance.halve(store)
    say(f"{made} of {volumes} volumes of {store} have a new copy at half the resolution")


def compact(store: StoreArgument) -> None:
    """Drop damaged and outdated lines of index and ledger, and leftover files of stopped runs."""
    from umzoo.data.preparing import maintenance

    lines, freed = maintenance.compact(store)
    say(f"{lines} lines and {freed / 1e6:.1f} MB were removed from {store}")
