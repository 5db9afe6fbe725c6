"""Draws docs/pictures/tour.png from a finished tour: ``python benchmarks/tour_picture.py demo`` after ``make demo``.

Each row is a scan: the image, what the network saw in pre-training, what it restored, and the organs that the
fine-tuned network finds beside the true ones, in the axial slice with the most organ.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import umzoo
from umzoo.data.phantoms.phantom import LABELS
from umzoo.downstream.pictures import class_color, draw_labels
from umzoo.downstream.prediction.answers import predict
from umzoo.engine import evaluate
from umzoo.engine.run import open_run
from umzoo.engine.trainer import Trainer

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "tour.png"
TITLES = ("scan", "corrupted", "restored", "scan", "predicted", "true")


def main() -> None:
    """Draw the picture."""
    demo = Path(sys.argv[1])
    restored, segmented = restorations(demo / "run"), segmentations(demo)
    figure = Figure(figsize=(9, 3.5), dpi=130)
    grid = figure.add_gridspec(2, 7, width_ratios=(1, 1, 1, 0.12, 1, 1, 1), wspace=0.06, hspace=0.06)
    figure.subplots_adjust(left=0.03, right=0.995, top=0.86, bottom=0.1)
    for line, modality in enumerate(("ct", "mr")):
        images = [*restored[modality], *segmented[modality]]
        for column, title, (image, labels) in zip((0, 1, 2, 4, 5, 6), TITLES, images, strict=True):
            axis = figure.add_subplot(grid[line, column], xticks=[], yticks=[])
            low, high = np.percentile(image, (0.5, 99.5))
            axis.imshow(image, cmap="gray", vmin=low, vmax=high)
            draw_labels(axis, labels, 0.6)
            axis.set_title(title if line == 0 else "", fontsize=9)
            axis.set_ylabel(modality.upper() if column == 0 else "", fontsize=9)
    figure.text(0.255, 0.95, "pre-trained without labels", ha="center", fontsize=10)
    figure.text(0.765, 0.95, "fine-tuned on two labeled scans", ha="center", fontsize=10)
    organs = [Patch(color=class_color(code), label=name) for name, code in LABELS.items() if code]
    figure.legend(handles=organs, loc=(0.64, 0.01), ncols=len(organs), frameon=False, fontsize=8)
    figure.savefig(OUT)


def restorations(folder: Path) -> dict[str, list[tuple[Any, Any]]]:
    """Return, for each modality, clean, corrupted and restored slices of the patch that the run's panel shows."""
    trainer, found = Trainer(open_run(folder), resume=True, cpu=True), {}

    def keep(file: Path, rows: Any) -> None:
        for name, images in rows:
            if "restored" in images:
                slices = [images[it][images[it].shape[0] // 2].numpy() for it in ("clean", "seen", "restored")]
                found[name] = [(image, np.zeros(image.shape, int)) for image in slices]

    evaluate.save_panel = keep
    trainer.evaluator.panels(trainer.model, folder, trainer.step, trainer.step)
    return found


def segmentations(demo: Path) -> dict[str, list[tuple[Any, Any]]]:
    """Return, for each modality, a slice of the first test scan, the prediction and the truth."""
    model, found = umzoo.from_pretrained(next(demo.glob("finetune/pre*-0/weights")), head=True), {}
    for row in csv.DictReader((demo / "labeled" / "cases.csv").open()):
        if row["split"] == "test" and row["modality"] not in found:
            scan = umzoo.load_scan(demo / "labeled" / row["image"], model, modality=row["modality"])
            answer = scan.to_original(predict(model, scan).argmax(0)).values
            image, truth = (np.asarray(nibabel.load(demo / "labeled" / row[it]).dataobj) for it in ("image", "label"))
            place = int((truth > 0).sum(axis=(0, 1)).argmax())
            shown = image[..., place].T
            labels = (np.zeros_like(truth), answer, truth)
            found[row["modality"]] = [(shown, it[..., place].T) for it in labels]
    return found


if __name__ == "__main__":
    main()
