"""One configuration of nnU-Net's plans: the network it asks for, and what that network will be fed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from umzoo import files
from umzoo.errors import ConfigError, DataError, in_one_line, nearest
from umzoo.nnunet.environment import dataset_number
from umzoo.nnunet.planning.allowed_networks import build_network, require_listed
from umzoo.spec import InputSpec
from umzoo.weights.importers.nnunet_input import channels_of
from umzoo.weights.networks.nnunet_architecture import architecture_of, configuration_of
from umzoo.weights.transfer import TransferReport

if TYPE_CHECKING:
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

PLANNERS = {
    "nnUNetResEncUNetMPlans": "nnUNetPlannerResEncM",
    "nnUNetResEncUNetLPlans": "nnUNetPlannerResEncL",
    "nnUNetResEncUNetXLPlans": "nnUNetPlannerResEncXL",
    "nnUNetPlans": "ExperimentPlanner",
}
"""nnU-Net's planners, by the name of the plans they write."""
MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What nnU-Net raises for plans that are not as it writes them."""


read_json = partial(files.read_json, error=DataError)
"""Reads the JSON object in a file; raises :class:`umzoo.errors.DataError` if it is missing or damaged."""


@dataclass(frozen=True)
class Planned:
    """A configuration such as ``3d_fullres`` of a plans file.

    Attributes:
        plans: content of the plans file.
        configuration: its name.
        dataset: content of ``dataset.json``.
    """

    plans: Mapping[str, Any]
    configuration: str
    dataset: Mapping[str, Any]

    @cached_property
    def manager(self) -> PlansManager:
        """nnU-Net's view of the plans."""
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        return PlansManager(dict(self.plans))

    @cached_property
    def settings(self) -> ConfigurationManager:
        """nnU-Net's view of the configuration, inherited values filled in.

        Raises:
            ConfigError: if there is no such configuration, or it is not 3D.
            DataError: if the plans are damaged.
            WeightsError: if they name a network or layers that are not listed.
        """
        known = self.plans.get("configurations")
        if not isinstance(known, Mapping) or not isinstance(self.plans.get("plans_name"), str):
            raise DataError("these are not plans of nnU-Net: they lack 'configurations' or 'plans_name'")
        if self.configuration not in known:
            hint = nearest(self.configuration, known)
            raise ConfigError(
                f"no configuration '{self.configuration}' in {self.name}{hint}; it has {', '.join(known)}"
            )
        require_listed(architecture_of(configuration_of(self.plans, self.configuration)))
        try:
            settings = self.manager.get_configuration(self.configuration)
            axes = len(settings.patch_size)
        except MALFORMED as error:
            reason = in_one_line(f"{type(error).__name__}: {error}", 200)
            raise DataError(f"configuration '{self.configuration}' of {self.name} is damaged: {reason}") from None
        if axes != 3:
            raise ConfigError(f"configuration '{self.configuration}' is 2D, and the weights are of 3D networks")
        return settings

    @property
    def name(self) -> str:
        """Name of the plans."""
        return str(self.plans["plans_name"])

    @property
    def in_channels(self) -> int:
        """Channels of the input, those of a cascade's first stage included.

        Raises:
            DataError: if plans or ``dataset.json`` are damaged.
        """
        from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels

        with self._readable():
            return int(determine_num_input_channels(self.manager, self.settings, dict(self.dataset)))

    @property
    def classes(self) -> int:
        """Channels of the answer.

        Raises:
            DataError: if plans or ``dataset.json`` are damaged.
        """
        with self._readable():
            return int(self.manager.get_label_manager(dict(self.dataset)).num_segmentation_heads)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turn what nnU-Net raises for damaged files inside into an error in one line."""
        if (manager := self.plans.get("label_manager", "LabelManager")) != "LabelManager":
            raise DataError(f"the plans {self.name} ask for the class {manager!r} to read labels, which is not run")
        try:
            yield
        except MALFORMED as error:
            reason = in_one_line(f"{type(error).__name__}: {error}", 200)
            raise DataError(f"{self.name} or its dataset.json is damaged: {reason}") from None

    def build(self) -> nn.Module:
        """Return the planned network with random weights, on torch's default device.

        Raises:
            WeightsError: if the plans name a network or layers that are not listed, or it cannot be built.
        """
        settings = self.settings
        architecture = {
            "network_class_name": settings.network_arch_class_name,
            "arch_kwargs": settings.network_arch_init_kwargs,
            "_kw_requires_import": settings.network_arch_init_kwargs_req_import,
        }
        return build_network(architecture, self.in_channels, self.classes, deep_supervision=True)

    def build_without_memory(self) -> nn.Module:
        """Return the planned network on the ``meta`` device."""
        with torch.device("meta"):
            return self.build()

    def input(self, seen: InputSpec) -> InputSpec:
        """Return what the network will be fed, as far as nnU-Net says, for weights that have *seen* an input.

        nnU-Net does not change the orientation of images, and :meth:`normalization` describes its normalization. The
        rules and the orientation are therefore those of *seen*.
        """
        settings = self.settings
        rescaled = all(scheme.startswith("Rescale") for scheme in settings.normalization_schemes)
        return InputSpec(
            orientation=seen.orientation,
            axes="".join("zyx"[axis] for axis in self.manager.transpose_forward),
            spacing=_triple(settings.spacing),
            rules=seen.rules,
            space="unit" if rescaled else "zscore",
            in_channels=self.in_channels,
            label_channels=self.in_channels - len(channels_of(self.dataset)),
            patch_size=_triple(settings.patch_size),
        )

    def with_normalization(self, report: TransferReport) -> TransferReport:
        """Return *report* with the warnings of :meth:`normalization`."""
        return report.model_copy(update={"warnings": (*report.warnings, *self.normalization())})

    def normalization(self) -> Iterator[str]:
        """Yield one line for each channel that nnU-Net normalizes otherwise than by the z-score of each volume."""
        names = list(channels_of(self.dataset).values())
        masks = self.settings.use_mask_for_norm
        for channel, scheme in enumerate(self.settings.normalization_schemes):
            label = f"channel {channel} ({names[channel] if channel < len(names) else 'unnamed'})"
            if scheme == "CTNormalization":
                values = self.manager.foreground_intensity_properties_per_channel[str(channel)]
                yield (
                    f"{label}: CTNormalization clips to {values['percentile_00_5']:g} ... {values['percentile_99_5']:g}"
                    " and scales by mean and standard deviation of the data set's foreground; weights of umzoo and"
                    " nnssl saw each volume scaled by its own"
                )
            elif scheme != "ZScoreNormalization":
                yield f"{label}: {scheme}; weights of umzoo and nnssl saw the z-score of each volume"
            elif masks[channel]:
                yield f"{label}: z-score over nonzero voxels only; weights of umzoo and nnssl saw that of all voxels"


def read_planned(folder: Path, plans: str, configuration: str) -> Planned:
    """Return configuration *configuration* of the plans named *plans* in *folder* of ``nnUNet_preprocessed``.

    Raises:
        ConfigError: if there are no such plans.
        DataError: if a file is damaged.
    """
    file = folder / f"{plans}.json"
    if not file.is_file():
        known = sorted(path.stem for path in folder.glob("*.json") if path.stem.endswith("lans"))
        command = f"nnUNetv2_plan_experiment -d {dataset_number(folder.name)} -pl {PLANNERS.get(plans)}"
        remedy = f"; make them with '{command}'" if plans in PLANNERS else ""
        raise ConfigError(f"no plans '{plans}' in {folder} (it has {', '.join(known) or 'none'}){remedy}")
    return Planned(read_json(file), configuration, read_json(folder / "dataset.json"))


def _triple(values: Any) -> Any:
    first, second, third = values
    return first, second, third
