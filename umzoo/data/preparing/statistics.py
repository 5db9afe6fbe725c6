"""Statistics of a volume in a store: mean, standard deviation, share and points of the foreground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umzoo.data.preparing.encoding import Encoding
from umzoo.data.reading.refusal import Reason, Refused

POINTS = 64
_FLAT = 1e-6
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Statistics:
    """Statistics of one stored volume: mean and std in [0, 1] space, share and points of the foreground."""

    mean: float
    std: float
    foreground: float
    points: tuple[Triple, ...]


def describe(stored: NDArray[np.int16], encoding: Encoding, seed: int) -> Statistics:
    """Statistics of a stored ``(D, H, W)`` volume; the points are a pure function of its content and *seed*.

    Mean and standard deviation are those of the bounding box of the voxels that are not 0, as nnU-Net crops
    (of the whole volume if that box is flat).

    Raises:
        Refused: if the volume is constant within its window.
    """
    zero, body = _to_stored(0.0, encoding), _to_stored(encoding.foreground, encoding)
    low, high = (_to_stored(value, encoding) for value in encoding.window)
    mean, std = _moments(stored[_bounding_box(stored, zero)], low, high)
    if std < _FLAT:
        mean, std = _moments(stored, low, high)
    if std < _FLAT:
        raise Refused(Reason.CONSTANT, f"all voxels are equal within the intensity window {encoding.window}")
    share = sum(int(np.count_nonzero(plane > body)) for plane in stored) / stored.size
    return Statistics(mean, std, share, _points(stored, body, share, seed))


def _moments(stored: NDArray[np.int16], low: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation once *low* to *high* is mapped to [0, 1] and clipped."""
    total = squares = 0.0
    for plane in stored:
        unit = np.clip((plane.astype(np.float64) - low) / (high - low), 0, 1)
        total += float(unit.sum())
        squares += float((unit * unit).sum())
    mean = total / stored.size
    return mean, float(np.sqrt(max(0.0, squares / stored.size - mean**2)))


def _to_stored(value: float, encoding: Encoding) -> float:
    return (value - encoding.intercept) / encoding.slope


def _bounding_box(stored: NDArray[np.int16], zero: float) -> tuple[slice, ...]:
    """The box of the voxels that are not *zero*."""
    planes = [plane != zero for plane in stored]
    depth = np.array([plane.any() for plane in planes])
    flat = np.logical_or.reduce(planes)
    lines = (depth, flat.any(axis=1), flat.any(axis=0))
    if not depth.any():
        return (slice(None),) * 3
    return tuple(slice(int(line.argmax()), len(line) - int(line[::-1].argmax())) for line in lines)


def _points(stored: NDArray[np.int16], body: float, share: float, seed: int) -> tuple[Triple, ...]:
    """Up to ``POINTS`` random foreground voxels: by rejection sampling, or from a list if foreground is rare."""
    rng = np.random.Generator(np.random.Philox(seed))
    if share > 0.02:
        places = np.stack([rng.integers(0, n, 64 * POINTS) for n in stored.shape], axis=1)
        places = places[stored[tuple(places.T)] > body][:POINTS]
    else:
        places = np.argwhere(stored > body)
        places = places[rng.permutation(len(places))[:POINTS]]
    return tuple((int(z), int(y), int(x)) for z, y, x in places)
