"""The input of nnU-Net's networks as an input spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umzoo.spec import InputSpec, IntensityRule

_ORIENTATIONS = {"NibabelIOWithReorient": "RAS"}
"""nnU-Net's readers that reorient images; all others keep the stored orientation."""


def input_of_plan(
    plans: Mapping[str, Any], configuration: Mapping[str, Any], dataset: Mapping[str, Any], channels: int
) -> InputSpec:
    """Return the input of nnU-Net's network, as far as an :class:`InputSpec` can express it.

    nnU-Net keeps the stored orientation of images (unless its reader reorients them), reads them as arrays
    (z, y, x) and then transposes them.
    """
    schemes = [str(scheme) for scheme in configuration.get("normalization_schemes", ())]
    rescaled = bool(schemes) and all(scheme.startswith(("Rescale", "RGB")) for scheme in schemes)
    return InputSpec.parse(
        {
            "orientation": _ORIENTATIONS.get(str(plans.get("image_reader_writer")), "as stored"),
            "axes": "".join("zyx"[axis] for axis in plans.get("transpose_forward", (0, 1, 2))),
            "spacing": configuration.get("spacing"),
            "rules": _rules(schemes, intensities_of(plans)),
            "space": "unit" if rescaled else "zscore",
            "in_channels": channels,
            "label_channels": max(0, channels - len(channels_of(dataset))) if channels_of(dataset) else 0,
            "patch_size": configuration.get("patch_size"),
        },
        "plans",
    )


def _rules(schemes: list[str], intensities: Mapping[str, Any]) -> dict[str, IntensityRule]:
    """Rules by modality: CT is clipped at percentiles of the data set, other modalities are not clipped."""
    rules = {"*": IntensityRule(kind="percentile", percentiles=(0.0, 100.0))}
    for channel, scheme in enumerate(schemes):
        values = intensities.get(str(channel), {})
        if scheme == "CTNormalization" and values:
            window = (float(values["percentile_00_5"]), float(values["percentile_99_5"]))
            rules["ct"] = IntensityRule(kind="window", window=window)
        elif scheme == "RGBTo01Normalization":
            rules["*"] = IntensityRule(kind="window", window=(0.0, 255.0))
    return rules


def channels_of(dataset: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the input channels by number, from ``dataset.json``."""
    return dict(dataset.get("channel_names") or dataset.get("modality") or {})


def intensities_of(plans: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data set's statistics of the foreground, by channel."""
    name = "foreground_intensity_properties"
    return dict(plans.get(f"{name}_per_channel") or plans.get(f"{name}_by_modality") or {})
