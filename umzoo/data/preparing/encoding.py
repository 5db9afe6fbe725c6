"""Encoding of physical values in a store: intensity rule and quantization.

``window`` rule (CT): the rule's window; values are stored as integer HU, clipped to [-1024, 3071]. A CT whose
values are not HU gets the percentile rule and a note. That is the case if soft tissue lies where an offset of 1024
would put it, or if neither the header's rescale type, nor peaks at air and soft tissue, nor values below -30 indicate
HU.

``percentile`` rule (MR and others): percentiles over the foreground, which is everything above 5 % of the range from
the 0.5th to the 99.5th percentile of all voxels. Integers that were not resampled and span less than 2^16 keep their
values. Others are stored in steps of 1/4096 of the window width, up to four widths beyond the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.preparing.content_checks import sample
from umzoo.data.reading.hounsfield import in_hounsfield
from umzoo.spec import IntensityRule

CT_RANGE = (-1024.0, 3071.0)
CT_FOREGROUND = -500.0

_LEVELS = 4096
_BEYOND = 4.0
_FOREGROUND = 0.05
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class Encoding:
    """How the physical values of one volume are stored: ``slope * stored + intercept``.

    Args:
        window: physical values that are mapped to 0 and 1.
        clip: range of stored physical values.
        foreground: voxels above this physical value are foreground.
    """

    window: tuple[float, float]
    clip: tuple[float, float]
    slope: float
    intercept: float
    foreground: float
    notes: tuple[str, ...] = ()


def fit(
    voxels: NDArray[Any],
    limits: tuple[float, float],
    modality: str,
    rule: IntensityRule,
    resampled: bool,
    hounsfield: bool = False,
) -> Encoding:
    """Find the encoding of a ``(D, H, W)`` volume of physical values within *limits*.

    *hounsfield* is whether its header declares HU.
    """
    values = sample(voxels)
    notes: tuple[str, ...] = ()
    if rule.kind == "window" and rule.window is not None:
        if modality != "ct" or in_hounsfield(values, hounsfield):
            return _windowed(rule.window, limits, modality)
        low, high = limits
        notes = (f"CT values ({low:g} to {high:g}) do not look like HU: a percentile window is used",)
        rule = IntensityRule(kind="percentile", percentiles=(0.5, 99.5))
    foreground = _foreground_threshold(values, limits)
    inside = values[values > foreground]
    low, high = np.percentile(inside if inside.size else values, rule.percentiles or (0.5, 99.5))
    if not high > low:
        low, high = limits
    whole = not resampled and np.array_equal(values, np.rint(values))
    return _encoding((float(low), float(high)), limits, whole, foreground, notes)


def _windowed(window: tuple[float, float], limits: tuple[float, float], modality: str) -> Encoding:
    if modality == "ct":
        return Encoding(window, CT_RANGE, 1.0, 0.0, CT_FOREGROUND)
    return _encoding(window, limits, False, window[0] + _FOREGROUND * (window[1] - window[0]), ())


def _encoding(
    window: tuple[float, float], limits: tuple[float, float], whole: bool, foreground: float, notes: tuple[str, ...]
) -> Encoding:
    width = window[1] - window[0]
    span = _INT16.max - _INT16.min
    clip = (max(limits[0], window[0] - _BEYOND * width), min(limits[1], window[1] + _BEYOND * width))
    if whole and limits[1] - limits[0] < span:
        clip = limits
    slope = 1.0 if whole and clip[1] - clip[0] < span else width / _LEVELS
    fits = max(abs(clip[0]), abs(clip[1])) <= slope * _INT16.max
    intercept = 0.0 if fits else slope * round((clip[0] + clip[1]) / 2 / slope)
    return Encoding(window, clip, slope, intercept, foreground, notes)


def _foreground_threshold(values: NDArray[np.float32], limits: tuple[float, float]) -> float:
    low, high = np.percentile(values, (0.5, 99.5))
    if not high > low:
        low, high = limits
    return float(low + _FOREGROUND * (high - low))


def quantize(voxels: NDArray[Any], encoding: Encoding) -> NDArray[np.int16]:
    """Store a ``(D, H, W)`` volume of physical values as int16, rounded to the nearest step of the slope."""
    stored = np.empty(voxels.shape, np.int16)
    for z, plane in enumerate(voxels):
        values = np.clip(np.asarray(plane, np.float64), *encoding.clip)
        stored[z] = np.rint((values - encoding.intercept) / encoding.slope)
    return stored
