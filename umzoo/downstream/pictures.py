"""Label maps drawn over images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASS_COLORS = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#0072b2", "#d55e00")
"""Colors of classes 1, 2, ...; color-blind readers can distinguish them too (Okabe and Ito)."""


def class_color(number: int, alpha: float = 1.0) -> tuple[float, float, float, float]:
    """Return the color of class *number*; the background 0 is transparent."""
    from matplotlib.colors import to_rgba

    return to_rgba(CLASS_COLORS[(number - 1) % len(CLASS_COLORS)], alpha) if number else (0.0, 0.0, 0.0, 0.0)


def draw_labels(axes: Any, labels: NDArray[Any], alpha: float, aspect: float | str = "equal") -> None:
    """Draw the slice *labels* ``(H, W)`` over the image in *axes*."""
    colors = np.zeros((*labels.shape, 4))
    for number in np.unique(labels):
        colors[labels == number] = class_color(int(number), alpha)
    axes.imshow(colors, aspect=aspect, interpolation="nearest")
