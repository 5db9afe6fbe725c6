"""How good a segmentation is."""

from __future__ import annotations

from torch import Tensor


def dice(answer: Tensor, truth: Tensor, classes: int) -> list[float]:
    """Return the Dice coefficient of classes 1, ..., *classes* - 1; NaN where a class is in neither volume.

    Args:
        answer: integers ``(D, H, W)``.
        truth: integers ``(D, H, W)``.
        classes: number of classes with the background.
    """
    result = []
    for label in range(1, classes):
        a, b = answer == label, truth == label
        size = int(a.sum() + b.sum())
        result.append(2 * int((a & b).sum()) / size if size else float("nan"))
    return result
