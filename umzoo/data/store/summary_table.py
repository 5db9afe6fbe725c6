"""The table of ``umzoo data``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from rich.text import Text

from umzoo.data.store.reader import Store
from umzoo.errors import in_one_line


def store_table(store: Store, real: Mapping[str, str] = MappingProxyType({})) -> Table:
    """One line per modality and data set: volumes, subjects, origin of the modality, size, spacing and bytes.

    *real* maps the numbers of unnamed data sets to their folders, for users of the same machine.
    """
    spacing = store.info.input.spacing
    resolution = "native spacing" if spacing is None else f"{' x '.join(f'{mm:g}' for mm in spacing)} mm"
    table = Table(
        title=Text(f"{len(store)} volumes at {resolution}, {store.info.input.orientation}"),
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("modality", "data set", "modality from"):
        table.add_column(name, no_wrap=True)
    for name in ("volumes", "subjects", "median size", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for (modality, source, origin), members in store.records.groups("modality", "source", "modality_from").items():
        table.add_row(modality or "unknown", Text(_named(source, real)), origin, *_numbers(store, members))
    table.add_section()
    table.add_row("total", "", "", *_numbers(store, np.arange(len(store))))
    return table


def _named(source: str, real: Mapping[str, str]) -> str:
    return f"{source} ({in_one_line(real[source], 40)})" if source in real else source


def _numbers(store: Store, members: NDArray[np.int64]) -> list[str]:
    if not len(members):
        return ["0", "0", "", "0"]
    size = "x".join(f"{n:.0f}" for n in np.median(store.records.column("shape")[members], axis=0))
    subjects = len(np.unique(store.records.column("subject")[members]))
    return [str(len(members)), str(subjects), size, f"{store.stored_bytes(members) / 1e6:.1f}"]
