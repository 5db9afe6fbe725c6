"""Converts the input specification of weights to nnU-Net's settings."""

from __future__ import annotations

from typing import Any

from umzoo.errors import ConfigError
from umzoo.nnunet.planning.default_plan import planned_architecture
from umzoo.spec import InputSpec


def spacing_of(spec: InputSpec, configuration: str = "3d_fullres") -> tuple[float, float, float]:
    """Return the spacing of the weights in mm, in nnU-Net's axis order (z, y, x).

    Raises:
        ConfigError: if the weights have no spacing, or nnU-Net does not accept one for *configuration*.
    """
    if spec.spacing is None:
        raise ConfigError("the weights were trained at native spacing and define none: leave --spacing out")
    if configuration != "3d_fullres":
        raise ConfigError(f"nnU-Net derives the spacing of {configuration} from 3d_fullres: leave --spacing out")
    first, second, third = (float(spec.spacing[spec.axes.index(axis)]) for axis in "zyx")
    return first, second, third


def normalization_of(spec: InputSpec, channels: int) -> dict[str, Any]:
    """Return nnU-Net's normalization that is closest to that of the weights; clipping still differs."""
    scheme = "ZScoreNormalization" if spec.space == "zscore" else "RescaleTo01Normalization"
    return {"normalization_schemes": [scheme] * channels, "use_mask_for_norm": [False] * channels}


def take_patch(settings: dict[str, Any], spec: InputSpec, axes: str) -> None:
    """Set the patch size of the weights in *settings*, with nnU-Net's stages, strides and kernels for it.

    Raises:
        ConfigError: if the weights have no patch size.
    """
    from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

    if spec.patch_size is None:
        raise ConfigError("the weights do not state their patch size: leave --patch out")
    wanted = [spec.patch_size[spec.axes.index(axis)] for axis in axes]
    _, strides, kernels, patch, _ = get_pool_and_conv_props(settings["spacing"], wanted, 4, 999999)
    architecture = planned_architecture(settings)
    arguments = architecture["arch_kwargs"] | {
        "n_stages": len(strides),
        "strides": [list(it) for it in strides],
        "kernel_sizes": [list(it) for it in kernels],
    }
    settings |= {"patch_size": [int(n) for n in patch], "architecture": {**architecture, "arch_kwargs": arguments}}
