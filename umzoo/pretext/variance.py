"""How much of an image an answer explains, beyond a constant answer."""

from __future__ import annotations

from torch import Tensor


def explained(answer: Tensor, target: Tensor, constant: Tensor, where: Tensor | None = None) -> Tensor:
    """Return the share ``()`` of the variance of *target* about *constant* that *answer* explains, over the batch.

    1 is a perfect answer, 0 is as good as *constant*, less is worse. NaN where nothing varies.

    Args:
        answer: ``(B, C, D, H, W)``.
        target: likewise.
        constant: likewise, the answer that takes no learning, such as the mean of each patch.
        where: bool, likewise; the voxels that count, all by default.
    """
    error, spread = (answer - target).square(), (constant - target).square()
    if where is not None:
        error, spread = error * where, spread * where
    total = spread.sum()
    return (1 - error.sum() / total).where(total > 0, total.new_full((), float("nan")))
