"""What weights say of their input, in nnU-Net's terms."""

from __future__ import annotations

from typing import Any

from umzoo.errors import ConfigError
from umzoo.nnunet.planning.default_plan import planned_architecture
from umzoo.spec import InputSpec


def spacing_of(spec: InputSpec, configuration: str = "3d_fullres") -> tuple[float, float, float]:
    """Return the spacing of the weights along the axes (z, y, x) in which nnU-Net reads images, in mm.

    Raises:
        ConfigError: if the weights have none, or nnU-Net would not take it for *configuration*.
    """
    if spec.spacing is None:
        raise ConfigError("the weights were trained at native spacing: they have none to give, leave --spacing out")
    if configuration != "3d_fullres":
        raise ConfigError(f"the spacing of {configuration} follows from that of 3d_fullres: leave --spacing out")
    first, second, third = (float(spec.spacing[spec.axes.index(axis)]) for axis in "zyx")
    return first, second, third


def normalization_of(spec: InputSpec, channels: int) -> dict[str, Any]:
    """Return the normalization of nnU-Net's that is nearest to that of the weights; none of them clips alike."""
    scheme = "ZScoreNormalization" if spec.space == "zscore" else "RescaleTo01Normalization"
    return {"normalization_schemes": [scheme] * channels, "use_mask_for_norm": [False] * channels}


def take_patch(settings: dict[str, Any], spec: InputSpec, axes: str) -> None:
    """Put the patch of the weights into *settings*, with the stages, strides and kernels that nnU-Net gives to it.

    Raises:
        ConfigError: if the weights have none.
    """
    from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

    if spec.patch_size is None:
        raise ConfigError("the weights do not say what patches they were trained on: leave --patch out")
    wanted = [spec.patch_size[spec.axes.index(axis)] for axis in axes]
    _, strides, kernels, patch, _ = get_pool_and_conv_props(settings["spacing"], wanted, 4, 999999)
    architecture = planned_architecture(settings)
    arguments = architecture["arch_kwargs"] | {
        "n_stages": len(strides),
        "strides": [list(it) for it in strides],
        "kernel_sizes": [list(it) for it in kernels],
    }
    settings |= {"patch_size": [int(n) for n in patch], "architecture": {**architecture, "arch_kwargs": arguments}}
