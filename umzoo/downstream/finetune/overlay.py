"""Pictures of segmentations: image, ground truth and prediction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from umzoo.downstream.pictures import draw_labels

if TYPE_CHECKING:
    from umzoo.downstream.finetune.training import FineTuningRun

SHOWN = 4


def save_overlays(file: Path, training: FineTuningRun, head: int) -> None:
    """Draw image, ground truth and prediction of validation cases, in the axial slice with the most foreground."""
    from matplotlib.figure import Figure

    cases = training.validation_cases[:SHOWN]
    figure = Figure(figsize=(7.2, 2.4 * len(cases)), layout="constrained")
    training.judged.eval()
    for line, cached in zip(figure.subplots(len(cases), 3, squeeze=False), cases, strict=True):
        label = np.asarray(cached.label)
        depth = int((label > 0).sum((1, 2)).argmax())
        answer = training.answer(cached, head).argmax(0).numpy()
        for axis, title, overlay in zip(line, ("image", "label", "prediction"), (None, label, answer), strict=True):
            axis.imshow(cached.image[0, depth].astype(np.float32), cmap="gray")
            if overlay is not None:
                draw_labels(axis, overlay[depth], 0.69)
            axis.set(xticks=[], yticks=[])
            axis.set_title(title if line is not None and axis.get_subplotspec().is_first_row() else "", fontsize=9)
        line[0].set_ylabel(cached.case.id, fontsize=7)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
