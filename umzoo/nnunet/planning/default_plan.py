"""Runs nnU-Net's planner for a data set without writing files."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

import torch

from umzoo.errors import ConfigError, DataError, WeightsError, in_one_line
from umzoo.nnunet.environment import dataset_name, dataset_number, folder_of, preprocessed_folder
from umzoo.nnunet.planning.allowed_networks import build_network
from umzoo.weights.networks.nnunet_architecture import architecture_of, configuration_of

Preset = Literal["M", "L", "XL"]
Size = tuple[int, int, int]


@dataclass(frozen=True)
class OwnPlan:
    """nnU-Net's plans, and the planner that made them.

    Attributes:
        planner: nnU-Net's planner, with its memory budget.
        plans: content of the plans file that it would write.
    """

    planner: Any
    plans: Mapping[str, Any]

    @property
    def planner_name(self) -> str:
        """Class name of the planner."""
        return type(self.planner).__name__

    @property
    def dataset(self) -> dict[str, Any]:
        """Content of ``dataset.json``."""
        return dict(self.planner.dataset_json)

    @cached_property
    def channels(self) -> int:
        """Number of channels of the images."""
        return len(self.dataset.get("channel_names") or self.dataset.get("modality") or {})

    @property
    def axes(self) -> str:
        """Order of the array axes in the network's input."""
        return "".join("zyx"[axis] for axis in self.plans["transpose_forward"])

    @property
    def budget(self) -> float:
        """Target memory of the planner, in GB."""
        return float(self.planner.UNet_vram_target_GB)

    def configuration(self, name: str) -> dict[str, Any]:
        """Return a copy of configuration *name*.

        Raises:
            ConfigError: if nnU-Net plans no such configuration, or it is 2D, or a cascade's second stage.
        """
        usable = [it for it, values in self.plans["configurations"].items() if len(values.get("patch_size", ())) == 3]
        if name not in usable:
            raise ConfigError(f"nnU-Net plans no 3D network '{name}' for this data set: choose {' or '.join(usable)}")
        return deepcopy(configuration_of(self.plans, name))

    def features(self, architecture: Mapping[str, Any], patch: Size) -> int:
        """Return the number of values in a network's feature maps for one *patch*, nnU-Net's measure of memory."""
        entry = (architecture["network_class_name"], architecture["arch_kwargs"], architecture["_kw_requires_import"])
        return _features(patch, self.channels, len(self.dataset["labels"]), *entry)

    def memory(self, features: int, batch_size: int) -> float:
        """Return the memory in GB for training with *batch_size* patches, by nnU-Net's estimate."""
        planner = self.planner
        share = features * batch_size / (planner.UNet_reference_val_3d * planner.UNet_reference_val_corresp_bs_3d)
        return float(share * planner.UNet_reference_val_corresp_GB)

    def batch_size(self, features: int, patch: Size, image: Size) -> int:
        """Return nnU-Net's batch size: limited by memory and by the size of the data set, but at least the minimum.

        Args:
            features: number of values for one patch, see :meth:`features`.
            patch: voxels (D, H, W).
            image: median size of the images, in voxels (D, H, W).
        """
        planner = self.planner
        fitting = round(self.budget / self.memory(features, 1))
        voxels = prod(image) * int(self.dataset["numTraining"])
        most = round(voxels * planner.max_dataset_covered / prod(patch))
        return int(max(min(fitting, most), planner.UNet_min_batch_size))


def plan_without_writing(
    dataset: str, residual: bool, preset: Preset = "M", spacing: tuple[float, float, float] | None = None
) -> OwnPlan:
    """Run nnU-Net's planner: a ResEnc preset for *residual* networks, else its default one.

    Args:
        dataset: number or full name of the data set.
        residual: whether the network has residual blocks.
        preset: memory target of nnU-Net's planner.
        spacing: mm (z, y, x) of ``3d_fullres``; None uses nnU-Net's choice.

    Raises:
        DataError: if the fingerprint or ``dataset.json`` is missing, or the planner fails.
    """
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.experiment_planning.experiment_planners.residual_unets import (
        residual_encoder_unet_planners as presets,
    )
    from nnunetv2.utilities.json_export import recursive_fix_for_json_export

    _require_fingerprint(dataset)
    planner_class = getattr(presets, f"nnUNetPlannerResEnc{preset}") if residual else ExperimentPlanner
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            planner = planner_class(dataset, overwrite_target_spacing=list(spacing) if spacing else None)
            planner.save_plans = recursive_fix_for_json_export
            planner.static_estimate_VRAM_usage = _features
            plans = json.loads(json.dumps(planner.plan_experiment()))
    except (RuntimeError, OSError, LookupError, AssertionError, TypeError, ValueError) as error:
        reason = in_one_line(error, 200)
        raise DataError(f"nnU-Net's {planner_class.__name__} failed: {type(error).__name__}: {reason}") from None
    return OwnPlan(planner, plans)


def _features(
    patch: Any, channels: int, classes: int, network: str, arguments: Mapping[str, Any], imported: Any
) -> int:
    """Count the values in the feature maps of *network*, without allocating it or changing torch's threads."""
    entry = {"network_class_name": network, "arch_kwargs": dict(arguments), "_kw_requires_import": imported}
    with torch.device("meta"):
        built: Any = build_network(entry, channels, classes, initialize=False)
    return int(built.compute_conv_feature_map_size(patch))


def planned_architecture(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry ``architecture`` of a *configuration* of nnU-Net.

    Raises:
        DataError: if it has none.
    """
    try:
        return architecture_of(configuration)
    except WeightsError as error:
        raise DataError(str(error)) from None


def _require_fingerprint(dataset: str) -> None:
    """Check that the input files of the planner exist.

    Raises:
        DataError: if one is missing; the message gives the command that makes it.
    """
    name = dataset_name(dataset)
    if not (folder_of("nnUNet_raw") / name / "dataset.json").is_file():
        raise DataError(f"there is no {folder_of('nnUNet_raw') / name / 'dataset.json'}, which nnU-Net's planner reads")
    if not (folder_of("nnUNet_preprocessed") / name / "dataset_fingerprint.json").is_file():
        raise DataError(f"{name} has no fingerprint yet: run 'nnUNetv2_extract_fingerprint -d {dataset_number(name)}'")
    preprocessed_folder(dataset)
