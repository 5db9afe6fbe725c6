"""Pictures of segmentations: image, truth and answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from umzoo.downstream.finetune.training import FineTuningRun

COLORS = ("#00000000", "#e69f00b0", "#56b4e9b0", "#cc79a7b0", "#009e73b0", "#f0e442b0", "#0072b2b0", "#d55e00b0")
"""Background (transparent) and classes, told apart by color-blind readers too (Okabe and Ito)."""
SHOWN = 4


def save_overlays(file: Path, training: FineTuningRun, head: int) -> None:
    """Draw image, truth and answer of some validation cases, each in the axial slice with the most labelled voxels."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    cases = training.validation_cases[:SHOWN]
    figure = Figure(figsize=(7.2, 2.4 * len(cases)), layout="constrained")
    training.model.eval()
    for line, cached in zip(figure.subplots(len(cases), 3, squeeze=False), cases, strict=True):
        label = np.asarray(cached.label)
        depth = int((label > 0).sum((1, 2)).argmax())
        answer = training.answer(cached, head).argmax(0).numpy()
        for axis, title, overlay in zip(line, ("image", "truth", "answer"), (None, label, answer), strict=True):
            axis.imshow(cached.image[0, depth].astype(np.float32), cmap="gray")
            if overlay is not None:
                kinds = ListedColormap([COLORS[i if i == 0 else 1 + (i - 1) % 7] for i in range(256)])
                axis.imshow(overlay[depth], cmap=kinds, vmin=0, vmax=255, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.set_title(title if line is not None and axis.get_subplotspec().is_first_row() else "", fontsize=9)
        line[0].set_ylabel(cached.case.id, fontsize=7)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
