"""Resamples and normalizes a volume to an input spec, for a store or for a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umzoo.data.preparing.content_checks import MIN_VOXELS, check_not_labels, check_shape, value_range
from umzoo.data.preparing.encoding import Encoding, fit, quantize
from umzoo.data.preparing.resampling import resample, resampled_shape
from umzoo.data.reading.geometry import Spacing
from umzoo.data.reading.size_limits import require_growth
from umzoo.data.reading.volume import Volume
from umzoo.spec import InputSpec


@dataclass(frozen=True)
class Standardized:
    """Stored int16 voxels ``(D, H, W)``, their encoding, and their spacing in mm (D, H, W)."""

    voxels: NDArray[np.int16]
    encoding: Encoding
    spacing: Spacing


def check(volume: Volume, spec: InputSpec, least: int = MIN_VOXELS) -> tuple[float, float]:
    """Return the minimum and maximum of *volume*, which needs *least* voxels along each axis.

    Raises:
        Refused: if it is too thin, constant, not finite or a label map, or would be too large after resampling.
    """
    check_shape(volume.voxels.shape, least=least)
    shape, new = volume.voxels.shape, resampled_shape(volume.voxels.shape, volume.spacing, spec.spacing)
    check_shape(new, " after resampling", least)
    require_growth(shape, new, spec.spacing)
    limits = value_range(volume.voxels)
    check_not_labels(volume.voxels)
    return limits


def standardize(volume: Volume, limits: tuple[float, float], modality: str, spec: InputSpec) -> Standardized:
    """Resample *volume* and apply the rule of its *modality*; *limits* are those of :func:`check`."""
    voxels, spacing = volume.voxels, volume.spacing
    changed = resampled_shape(voxels.shape, spacing, spec.spacing) != voxels.shape
    encoding = fit(voxels, limits, modality, spec.rule(modality), changed, volume.hounsfield)
    resampled, spacing = resample(voxels, spacing, spec.spacing, encoding.clip)
    return Standardized(quantize(resampled, encoding), encoding, spacing)
