"""Predictions for many scans: label maps on their original grids, or a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from umzoo.data.reading.formats import stem_of
from umzoo.downstream.prediction.answers import answer_of, predict
from umzoo.downstream.prediction.pictures import save_overlay
from umzoo.errors import DataError
from umzoo.files import replace_text
from umzoo.heads.answer import Answer
from umzoo.heads.model import Model
from umzoo.scans.listing import Listed, Listing, Progress, for_each_scan, no_progress
from umzoo.scans.original_grid import OriginalImage
from umzoo.scans.scan import Scan

TABLE = "predictions.csv"
LABELS = "labels.json"


def predict_scans(
    models: Sequence[Model],
    listing: Listing,
    out: Path,
    *,
    flips: bool = False,
    probabilities: bool = False,
    pictures: bool = False,
    mask: Callable[[Listed, Scan], Tensor] | None = None,
    progress: Progress = no_progress,
) -> tuple[tuple[str, str], ...]:
    """Predict every scan of *listing* into the folder *out*; return skipped scans with reasons.

    A segmentation is a NIfTI label map on the scan's original grid with the label values of the training data;
    ``labels.json`` names them. Other predictions are rows of ``predictions.csv``. Existing predictions are kept, so an
    interrupted call can be resumed.

    Args:
        models: one network, or several as an ensemble.
        listing: of :func:`umzoo.scans.listing.list_scans`.
        out: the folder.
        flips: average over all flips of the image.
        probabilities: also write the probability maps of a segmentation.
        pictures: draw each segmentation over its scan.
        mask: returns the mask on which crops of a scan are centered; by default they are at the scan's center.
        progress: called with the numbers of scans done, scans in total, and scans skipped.

    Raises:
        ConfigError: if a network has no trained head.
        DataError: if no scan could be predicted.
    """
    answer = answer_of(models[0])
    out.mkdir(parents=True, exist_ok=True)
    write = _segment if answer.task == "segmentation" else _tabulate
    if answer.task == "segmentation":
        replace_text(out / LABELS, json.dumps(label_values(answer), indent=1) + "\n")
    known = set() if answer.task == "segmentation" else _known(out / TABLE)

    def answer_scan(listed: Listed, scan: Scan) -> None:
        about = mask(listed, scan) if mask else None
        write(out, listed, scan, predict(models, scan, flips=flips, mask=about), answer, (probabilities, pictures))

    skipped = for_each_scan(
        listing, answer_scan, progress, lambda listed: listed.name in known or _mask_file(out, listed).is_file()
    )
    if len(skipped) == listing.found:
        raise DataError(f"nothing could be predicted: {skipped[0][0]}: {skipped[0][1]}")
    return skipped


def label_values(answer: Answer) -> dict[str, int]:
    """Return the value of each class in label maps: that of the training data, or its index."""
    return {name: answer.labels.get(name, number) for number, name in enumerate(answer.classes)}


def to_label_map(scan: Scan, probabilities: Tensor, values: Sequence[int]) -> OriginalImage:
    """Resample class *probabilities* ``(n, D, H, W)`` to the scan's original grid, and take the most probable class.

    Each class is interpolated linearly; *values* are the values of the classes in the label map.
    """
    best: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    kind = np.uint8 if min(values) >= 0 and max(values) < 256 else np.int16
    for value, probability in zip(values, probabilities, strict=True):
        share = scan.to_original(probability).values
        if best is None or labels is None:
            best, labels = share.copy(), np.full(share.shape, value, kind)
        else:
            labels[share > best] = value
            np.maximum(best, share, out=best)
    if labels is None:
        raise DataError("a segmentation needs classes, got none")
    return OriginalImage(labels, scan.original, scan.header)


def _mask_file(out: Path, listed: Listed) -> Path:
    """Return the output file of a scan, named after its file, or after its listed name if it has none."""
    stem = stem_of(listed.file) if listed.file else listed.name.replace("/", "_")
    return out / f"{stem}.nii.gz"


def _segment(out: Path, listed: Listed, scan: Scan, found: Tensor, answer: Answer, wanted: tuple[bool, bool]) -> None:
    probabilities, pictures = wanted
    values = list(label_values(answer).values())
    file = _mask_file(out, listed)
    if probabilities:
        scan.to_original(found).save(out / "probabilities" / file.name)
    if pictures:
        save_overlay(out / "pictures" / f"{stem_of(file)}.png", scan, found.argmax(0), answer.classes)
    to_label_map(scan, found, values).save(file)


def _tabulate(out: Path, listed: Listed, scan: Scan, found: Tensor, answer: Answer, wanted: tuple[bool, bool]) -> None:
    row: dict[str, Any] = {"scan": listed.name, "subject": listed.subject}
    numbers = [round(float(value), 6) for value in found]
    if answer.task == "classification":
        row["class"] = _chosen(answer, numbers)
    row |= dict(zip(answer.classes or answer.targets or ("log_risk",), numbers, strict=True))
    if answer.task == "multilabel":
        row |= {f"{n}?": int(p >= answer.thresholds.get(n, 0.5)) for n, p in zip(answer.classes, numbers, strict=True)}
    file = out / TABLE
    new = not file.is_file()
    with file.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _chosen(answer: Answer, numbers: Sequence[float]) -> str:
    """Return the most probable class; of two classes, the second if it reaches its threshold."""
    if len(answer.classes) == 2 and answer.classes[1] in answer.thresholds:
        return answer.classes[numbers[1] >= answer.thresholds[answer.classes[1]]]
    return answer.classes[int(np.argmax(numbers))]


def _known(table: Path) -> set[str]:
    """Return the scans that already have a row."""
    if not table.is_file():
        return set()
    with table.open(encoding="utf-8", newline="") as stream:
        return {row["scan"] for row in csv.DictReader(stream)}
