"""Whether values are Hounsfield units: air and soft tissue show as two peaks at known places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_AIR = (-1060.0, -940.0)
_LUNG = (-950.0, -750.0)
_TISSUE = (-150.0, 150.0)
_LEAST_AIR = 0.02
_LEAST_TISSUE = 0.05
_PEAK = 1.5


def has_air_and_tissue(sample: NDArray[np.float32]) -> bool:
    """Whether the values peak at air (or at lung, in a crop of the chest) and at soft tissue, as in a patient.

    The test: at least 2 % lie within 60 of -1000 (or within 100 of -850) and 5 % within 150 of 0, 1.5 times as many as
    in adjacent intervals of the same width, and few where soft tissue would lie with an offset of 1024.
    """
    values = _without_padding(sample)
    return (
        values.size > 0
        and not is_offset(sample)
        and (
            _peaks(values, _AIR, (-1220, -1100), (-900, -780), _LEAST_AIR)
            or _peaks(values, _LUNG, (-1300, -1100), (-600, -400), _LEAST_AIR)
        )
        and _peaks(values, _TISSUE, (-600, -300), (250, 550), _LEAST_TISSUE)
    )


def is_offset(sample: NDArray[np.float32]) -> bool:
    """Whether values around soft tissue with an offset of 1024 are more than bone and metal can explain."""
    values = _without_padding(sample)
    body = values[values > _AIR[1]]
    return body.size > 0 and _share(body, 824, 1224) > max(0.15, 2 * _share(body, 300, 700))


def in_hounsfield(sample: NDArray[np.float32], declared: bool = False) -> bool:
    """Whether the values of a CT are HU.

    Args:
        sample: physical values.
        declared: whether the header declares HU.
    """
    if is_offset(sample):
        return False
    if declared or has_air_and_tissue(sample):
        return True
    low, high = np.percentile(sample, (1, 99.9))
    return bool(low < -30 and high - low > 150)


def _without_padding(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """The values without the smallest one, if it lies below air."""
    low = sample.min() if sample.size else 0
    return sample[sample > low] if low < _AIR[0] else sample


def _peaks(
    values: NDArray[np.float32],
    peak: tuple[float, float],
    below: tuple[float, float],
    above: tuple[float, float],
    least: float,
) -> bool:
    share = _share(values, *peak)
    return share >= least and share >= _PEAK * max(_share(values, *below), _share(values, *above))


def _share(values: NDArray[np.float32], low: float, high: float) -> float:
    return float(np.count_nonzero((values >= low) & (values <= high))) / values.size
