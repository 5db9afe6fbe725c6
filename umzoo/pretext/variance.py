"""Explained variance of predicted images, relative to a constant prediction."""

from __future__ import annotations

from torch import Tensor


def explained(answer: Tensor, target: Tensor, constant: Tensor, where: Tensor | None = None) -> Tensor:
    """Return the fraction ``()`` of the variance of *target* about *constant* that *answer* explains, over the batch.

    1 is perfect, 0 is as good as *constant*, and negative is worse. NaN if the target does not vary.

    Args:
        answer: prediction ``(B, C, D, H, W)``.
        target: target, of the same shape.
        constant: trivial prediction of the same shape, such as the mean of each patch.
        where: bool, of the same shape; voxels to include, all by default.
    """
    error, spread = (answer - target).square(), (constant - target).square()
    if where is not None:
        error, spread = error * where, spread * where
    total = spread.sum()
    return (1 - error.sum() / total).where(total > 0, total.new_full((), float("nan")))
