"""The page of an evaluation: what ``umzoo evaluate`` wrote, and maps of the vectors that it probed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from umzoo.downstream.browse.coloring import Coloring
from umzoo.downstream.browse.page import Page
from umzoo.downstream.browse.vector_maps import add_maps
from umzoo.downstream.evaluate.saved_vectors import VECTORS, SavedVectors, read_vectors
from umzoo.files import read_text


def evaluation_page(folder: Path, method: str) -> Page:
    """Return the page of the evaluation in *folder*.

    Raises:
        ConfigError: if the *method* of the maps is unknown, or a library is missing.
        DataError: if the vectors are damaged.
    """
    page = Page(f"Evaluation {folder.name}")
    page.markdown(read_text(folder / "README.md"), folder)
    if (folder / VECTORS).is_file():
        found = read_vectors(folder)
        page.heading("Maps of the vectors")
        add_maps(page, found.features, found.scans, np.array(found.subjects), _answers(found), method)
    return page


def _answers(found: SavedVectors) -> list[Coloring]:
    """What the task asks for."""
    columns = found.targets.reshape(len(found.scans), -1).T
    if found.kind == "classification":
        return [Coloring("class", tuple(found.classes[int(number)] for number in columns[0]))]
    if found.kind == "survival":
        return [Coloring.of_numbers("time", columns[0]), _yes_or_no("event", columns[1])]
    of = _yes_or_no if found.kind == "multilabel" else Coloring.of_numbers
    return [of(name, values) for name, values in zip(found.classes, columns, strict=True)]


def _yes_or_no(name: str, values: np.ndarray) -> Coloring:
    return Coloring(name, tuple(("no", "yes")[int(value)] for value in values))
