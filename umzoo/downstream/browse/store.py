"""The page of a store: counts of volumes, and slices of some of them."""

from __future__ import annotations

import io

import numpy as np

from umzoo.data.store.contact_sheet import axial_slice, caption, choose
from umzoo.data.store.reader import Store
from umzoo.downstream.browse.page import Page
from umzoo.errors import DataError

VOLUMES = 8
"""Maximum number of volumes shown."""
SLICES = 32
"""Maximum number of slices shown of a volume."""
EDGE = 256
"""Maximum number of pixels along the longer edge of a slice."""


def store_page(store: Store, volumes: int = VOLUMES) -> Page:
    """Return the page of *store* with at most *volumes* volumes, spread evenly over modalities and data sets."""
    page = Page(f"Store {store.path.name}")
    page.paragraph(f"{len(store)} volumes")
    groups = store.records.groups("modality", "source", "modality_from")
    rows = [(name or "unknown", source, origin, len(it)) for (name, source, origin), it in groups.items()]
    page.table(rows, ("modality", "data set", "modality from", "volumes"))
    if known := store.targets.known:
        page.heading("Targets")
        descriptions = {name: it.classes or (f"mean {it.mean:.4g}", f"std {it.std:.4g}") for name, it in known.items()}
        page.facts({name: ", ".join(texts) for name, texts in descriptions.items()})
    page.heading("Axial slices")
    page.paragraph("From the feet to the head; anterior is up, and the left of the patient is on the right.")
    for index in choose(store, volumes):
        try:
            _add_volume(page, store, index)
        except DataError as error:
            page.paragraph(str(error))
    return page


def _add_volume(page: Page, store: Store, index: int) -> None:
    record = store.records[index]
    depth, height, width = record.shape
    step = -(-max(height, width) // EDGE)
    rows = np.unique(np.linspace(0, depth - 1, min(depth, SLICES)).round().astype(int))
    slices = [_jpeg(axial_slice(store, index, row)[::step, ::step]) for row in rows.tolist()]
    page.stack(slices, caption(record).replace("\n", ", "), width * record.spacing[2] / (height * record.spacing[1]))


def _jpeg(plane: np.ndarray) -> bytes:
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, plane, cmap="gray", vmin=0, vmax=1, format="jpeg", pil_kwargs={"quality": 80})
    return file.getvalue()
