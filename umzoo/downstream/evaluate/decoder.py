"""A linear decoder of voxel features: linear discriminant analysis (Fisher, 1936)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHRINKAGE = (1e-3, 1e-2, 1e-1)
"""Values added to the diagonal of the covariance of features with standard deviation 1."""
PRIORS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Exponents of the class frequencies in the prior: 0 gives a uniform prior, 1 the observed frequencies."""
ABSENT = -1e9


@dataclass(frozen=True)
class Voxels:
    """Sampled voxels of a scan: features ``(m, F)``, classes ``(m,)`` and sampling weights ``(m,)``."""

    rows: NDArray[Any]
    labels: NDArray[np.int64]
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums over voxels by class: counts ``(K,)``, features ``(K, F)``, products ``(K, F, F)`` and weights ``(K,)``."""

    counts: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, drawn: Sequence[Voxels], classes: int) -> Moments:
        """Return the sums over the voxels of several scans."""
        rows = np.concatenate([one.rows for one in drawn]).astype(np.float32)
        labels, shares = np.concatenate([one.labels for one in drawn]), np.concatenate([one.shares for one in drawn])
        of_class = [rows[labels == number] for number in range(classes)]
        return cls(
            np.array([float(len(part)) for part in of_class]),
            np.stack([part.sum(axis=0, dtype=np.float64) for part in of_class]),
            np.stack([(part.T @ part).astype(np.float64) for part in of_class]),
            np.bincount(labels, weights=shares, minlength=classes).astype(np.float64),
        )

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.counts + other.counts,
            self.sums + other.sums,
            self.squares + other.squares,
            self.shares + other.shares,
        )


@dataclass(frozen=True)
class Decoder:
    """Computes ``weight @ features + bias``: *weight* ``(K, F)``, *bias* ``(K,)``."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


def discriminant(moments: Moments, shrinkage: float, prior: float) -> Decoder:
    """Return the decoder of *moments*; it never predicts a class without voxels."""
    known = moments.counts > 0
    counts = moments.counts.clip(1)[:, None]
    means = moments.sums / counts
    within = moments.squares / counts[..., None] - means[:, :, None] * means[:, None, :]
    covariance = within[known].mean(axis=0)
    spread = np.sqrt(covariance.diagonal().clip(1e-12))
    scaled = covariance / np.outer(spread, spread) + shrinkage * np.eye(len(spread))
    weight = np.linalg.solve(scaled, (means / spread).T).T / spread
    bias = -0.5 * (weight * means).sum(axis=1)
    share = moments.shares / moments.shares.sum()
    return Decoder(weight, np.where(known, bias + prior * np.log(share.clip(1e-12)), ABSENT))


def choose_decoder(parts: Mapping[int, Moments], drawn: Mapping[int, Sequence[Voxels]]) -> Decoder:
    """Return the decoder of all *parts*, with settings chosen by cross-validation over them.

    The best settings have the greatest mean Dice of all classes except 0, estimated from the *drawn* voxels.
    """
    total = _sum(list(parts.values()))
    settings = [(shrinkage, prior) for shrinkage in SHRINKAGE for prior in PRIORS]
    if len(parts) < 2:
        return discriminant(total, SHRINKAGE[1], PRIORS[2])
    overlap = np.zeros((len(settings), 2, len(total.counts)))
    for held, voxels in drawn.items():
        others = _sum([moments for part, moments in parts.items() if part != held])
        rows = np.concatenate([one.rows for one in voxels]).astype(np.float32)
        truth, shares = np.concatenate([it.labels for it in voxels]), np.concatenate([it.shares for it in voxels])
        for number, (shrinkage, prior) in enumerate(settings):
            found = discriminant(others, shrinkage, prior)
            guess = (rows @ found.weight.T.astype(np.float32) + found.bias).argmax(axis=1)
            overlap[number] += _overlap(guess, truth, shares, len(total.counts))
    dice = (2 * overlap[:, 0] / overlap[:, 1].clip(1e-12))[:, 1:].mean(axis=1)
    return discriminant(total, *settings[int(dice.argmax())])


def _sum(moments: Sequence[Moments]) -> Moments:
    total = moments[0]
    for one in moments[1:]:
        total = total + one
    return total


def _overlap(guess: NDArray[Any], truth: NDArray[Any], shares: NDArray[Any], classes: int) -> NDArray[Any]:
    """Return, by class, the weights of correct voxels, and the sum of the weights of guessed and of true voxels."""
    right = np.bincount(truth[guess == truth], weights=shares[guess == truth], minlength=classes)
    both = np.bincount(guess, weights=shares, minlength=classes) + np.bincount(truth, weights=shares, minlength=classes)
    return np.stack([right, both])
