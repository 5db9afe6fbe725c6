"""The table ``umzoo data`` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from umzoo.data.report_text import printable
from umzoo.data.store import Store, VolumeRecord


def store_table(store: Store, real: Mapping[str, str] = MappingProxyType({})) -> Table:
    """One line per modality and data set: volumes, subjects, who told the modality, size, spacing and bytes.

    *real* says which folders the numbers of unnamed data sets stand for, for readers on the same machine.
    """
    spacing = store.info.input.spacing
    told = "native spacing" if spacing is None else f"{' x '.join(f'{mm:g}' for mm in spacing)} mm"
    table = Table(
        title=Text(f"{len(store)} volumes at {told}, {store.info.input.orientation}"),
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("modality", "data set", "told by"):
        table.add_column(name, no_wrap=True)
    for name in ("volumes", "subjects", "median size", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    groups: dict[tuple[str, str, str], list[VolumeRecord]] = {}
    for record in store.records:
        groups.setdefault((record.modality, record.source, record.modality_from), []).append(record)
    for key in sorted(groups):
        modality, source, origin = key
        table.add_row(modality or "unknown", Text(_named(source, real)), origin, *_numbers(store, groups[key]))
    table.add_section()
    table.add_row("total", "", "", *_numbers(store, store.records))
    return table


def _named(source: str, real: Mapping[str, str]) -> str:
    return f"{source} ({printable(real[source])[:40]})" if source in real else source


def _numbers(store: Store, records: Sequence[VolumeRecord]) -> list[str]:
    if not records:
        return ["0", "0", "", "0"]
    size = "x".join(f"{n:.0f}" for n in np.median([record.shape for record in records], axis=0))
    files = (store.path / "volumes" / f"{record.id}.b2nd" for record in records)
    megabytes = sum(file.stat().st_size for file in files if file.exists()) / 1e6
    subjects = len({record.subject for record in records})
    return [str(len(records)), str(subjects), size, f"{megabytes:.1f}"]
