"""Maps of vectors on a page, each with what the vectors themselves say of what it is colored by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.browse.agreement import agreement
from umzoo.downstream.browse.coloring import Coloring
from umzoo.downstream.browse.page import Page
from umzoo.downstream.browse.projection import project
from umzoo.downstream.browse.scatter import scatter

DOTS = 5000
"""Vectors on a map, at most."""


def add_maps(
    page: Page,
    features: Mapping[str, NDArray[Any]],
    names: Sequence[str],
    subjects: NDArray[Any],
    colorings: Sequence[Coloring],
    method: str,
) -> None:
    """Add a map for each of *features*, and where there are several, a table of what neighbors say in each.

    Args:
        page: what is added to.
        features: ``(n, d)`` each, by name.
        names: of the vectors.
        subjects: person of each, ``(n,)``.
        colorings: what is known of the vectors; those that have one value only are left out.
        method: of :func:`umzoo.downstream.browse.projection.project`.

    Raises:
        ConfigError: if the method is unknown, or a library is missing.
        DataError: if there are too few vectors.
    """
    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), DOTS)).round().astype(int))
    if len(chosen) < len(names):
        page.paragraph(f"{len(chosen)} of {len(names)} vectors are shown, evenly spaced in the table.")
    telling = [it for it in (coloring.of_rows(chosen) for coloring in colorings) if it.tells]
    texts = [
        " · ".join([names[row], *(f"{it.name}: {it.texts[number] or 'unknown'}" for it in telling)])
        for number, row in enumerate(chosen)
    ]
    rows, alone = [], len(features) == 1
    for title, array in features.items():
        plane = project(array[chosen], method)
        found = [agreement(array[chosen], subjects[chosen], it) for it in telling]
        notes = [it.text if it else "Too few persons are known to say how far neighbors agree." for it in found]
        page.add(scatter(title, plane.places, texts, list(zip(telling, notes, strict=True)), plane.note, alone))
        rows.append([title, *(it.short for it in found if it)])
    if len(rows) > 1 and any(found):
        page.paragraph("Neighbors in all numbers of the vectors: classes right, and mean error of numbers.")
        blind = ["without looking at the scan", *(it.blind_short for it in found if it)]
        page.table([*rows, blind], ("vectors", *(it.coloring.name for it in found if it)))
