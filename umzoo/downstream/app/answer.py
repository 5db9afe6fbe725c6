"""What weights give for a scan: a mask, classes or numbers; without a head, a vector and features as colors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from umzoo.backbones.base import Backbone
from umzoo.data.reading.size_limits import require_memory
from umzoo.downstream.app.feature_colors import feature_colors
from umzoo.downstream.app.shown import Shown, grays, pixel_of, upright
from umzoo.downstream.embed.table_files import COLUMNS, write_table
from umzoo.downstream.embed.vectors import embed
from umzoo.downstream.prediction.answers import answer_of, predict
from umzoo.downstream.prediction.folder import label_values, to_label_map
from umzoo.heads.model import Model
from umzoo.scans.scan import Scan

MASK, VECTOR = "mask.nii.gz", "vector.csv"
COPIES = 3
"""Copies of all probabilities that a segmentation takes memory for."""


@dataclass(frozen=True)
class Result:
    """What the weights give for a scan.

    Attributes:
        shown: the picture.
        values: probabilities of classes, or numbers, by name.
        file: for download: the mask on the scan's own grid, or the vector; None if there is none.
        summary: one line of text.
    """

    shown: Shown
    values: dict[str, float] = field(default_factory=dict)
    file: Path | None = None
    summary: str = ""


def result_of(model: Backbone | Model, scan: Scan, folder: Path) -> Result:
    """Apply *model* to *scan*; files are written into *folder*.

    Raises:
        ConfigError: if a library is missing.
        DataError: if the scan cannot be used with the network.
    """
    if not isinstance(model, Model) or model.answer is None:
        return _features(model.backbone if isinstance(model, Model) else model, scan, folder)
    if model.answer.task == "segmentation":
        return _segmentation(model, scan, folder)
    found = [float(value) for value in predict(model, scan)]
    names = model.answer.classes or model.answer.targets or ("log-risk",)
    return Result(_seen(scan), dict(zip(names, found, strict=True)))


def _segmentation(model: Model, scan: Scan, folder: Path) -> Result:
    values = label_values(answer_of(model))
    require_memory(COPIES * len(values) * scan.image[0].nbytes, f"{len(values)} classes of each voxel")
    found = predict(model, scan)
    labels = found.argmax(0).numpy().astype(np.uint8)
    counts = np.bincount(labels.ravel(), minlength=len(values)).tolist()
    seen = [f"{name} ({value})" for (name, value), count in list(zip(values.items(), counts, strict=True))[1:] if count]
    file = to_label_map(scan, found, list(values.values())).save(folder / MASK)
    summary = f"The mask has {', '.join(seen)}." if seen else "The mask is empty: nothing was found."
    return Result(_seen(scan, labels=labels), file=file, summary=summary)


def _features(backbone: Backbone, scan: Scan, folder: Path) -> Result:
    vector = embed(backbone, scan).vectors.numpy()
    texts = ["scan", "", "", "+".join(scan.modality), ""]
    write_table(".csv", folder / VECTOR, {name: [text] for name, text in zip(COLUMNS, texts, strict=True)}, vector)
    summary = f"The vector has {vector.shape[1]} numbers: the mean of the coarsest features over the body."
    return Result(_seen(scan, colors=feature_colors(backbone, scan)), file=folder / VECTOR, summary=summary)


def _seen(scan: Scan, **voxels: np.ndarray) -> Shown:
    """The picture of *scan*, with labels or colors of its *voxels*, turned upright."""
    turned = {name: upright(values, scan.grid) for name, values in voxels.items()}
    return Shown(upright(grays(scan.image[0].numpy()), scan.grid), pixel_of(scan.grid), **turned)
