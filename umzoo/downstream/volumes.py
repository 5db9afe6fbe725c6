"""Labelled volumes for fine-tuning, brought to what a pre-trained network expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umzoo.data.checks import value_range
from umzoo.data.rules import describe, fit, quantise
from umzoo.errors import DataError
from umzoo.spec import InputSpec


@dataclass(frozen=True)
class LabelledVolume:
    """A volume and its segmentation.

    Attributes:
        image: float32 ``(C, D, H, W)`` in the backbone's input space.
        label: int64 ``(D, H, W)``, 0 is background.
    """

    image: Tensor
    label: Tensor


def label_volume(voxels: NDArray[Any], label: NDArray[Any], modality: str, spec: InputSpec) -> LabelledVolume:
    """Apply the intensity rule of *spec* for *modality*, exactly as ``umzoo prepare`` and the training do.

    Args:
        voxels: physical values ``(D, H, W)`` in the orientation and spacing of *spec*.
        label: integers ``(D, H, W)``.
        modality: ``"ct"``, ``"mr"``, ...
        spec: what the network expects (``model.weights_info.input``).

    Raises:
        DataError: if image and label differ in shape, or the image is constant or not finite.
    """
    if voxels.shape != label.shape:
        raise DataError(f"image {voxels.shape} and label {label.shape} must have one shape")
    encoding = fit(voxels, value_range(voxels), modality, spec.rule(modality), resampled=True)
    stored = quantise(voxels, encoding)
    low, high = encoding.window
    unit = np.clip((stored * encoding.slope + encoding.intercept - low) / (high - low), 0, 1)
    if spec.space == "zscore":
        statistics = describe(stored, encoding, seed=0)
        unit = (unit - statistics.mean) / statistics.std
    return LabelledVolume(torch.from_numpy(unit.astype(np.float32))[None], torch.from_numpy(label.astype(np.int64)))
