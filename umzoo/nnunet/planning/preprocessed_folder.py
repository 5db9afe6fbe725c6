"""Chooses the folder of preprocessed data of plans."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umzoo.nnunet.planning.configuration import read_json
from umzoo.nnunet.planning.default_plan import OwnPlan


def data_identifier(folder: Path, configuration: str, base: OwnPlan, settings: Mapping[str, Any], own: OwnPlan) -> str:
    """Return the name of the folder of preprocessed data.

    It is nnU-Net's own if its data is usable: spacing, axis order and normalization are nnU-Net's, and no plans in
    *folder* use that name for data with other preprocessing.
    """
    usual = own.configuration(configuration)
    ours = _made(settings, base.plans["transpose_forward"])
    if ours == _made(usual, own.plans["transpose_forward"]) and not _taken_otherwise(
        folder, str(usual["data_identifier"]), ours
    ):
        return str(usual["data_identifier"])
    spacing, axes, schemes, masks = ours
    norms = [
        "nonzero" * mask + scheme.replace("Normalization", "") for scheme, mask in zip(schemes, masks, strict=True)
    ]
    return "_".join(["umzoo", "x".join(f"{n:.6g}" for n in spacing), axes, *norms, configuration])


def _made(settings: Mapping[str, Any], transpose: Any) -> tuple[tuple[float, ...], str, list[str], list[bool]]:
    """Return the settings that preprocessed data depends on."""
    spacing = tuple(round(float(n), 6) for n in settings["spacing"])
    axes = "".join("zyx"[axis] for axis in transpose)
    return spacing, axes, list(settings["normalization_schemes"]), [bool(it) for it in settings["use_mask_for_norm"]]


def _taken_otherwise(folder: Path, identifier: str, ours: Any) -> bool:
    """Return whether plans in *folder* use *identifier* for data with other preprocessing."""
    for file in folder.glob("*.json"):
        plans = read_json(file) if "lans" in file.stem else {}
        for settings in plans.get("configurations", {}).values():
            same_name = settings.get("data_identifier") == identifier and "spacing" in settings
            if same_name and _made(settings, plans.get("transpose_forward", (0, 1, 2))) != ours:
                return True
    return False
