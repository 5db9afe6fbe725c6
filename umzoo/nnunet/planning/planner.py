"""Plans whose network takes the most from given weights, and which else are nnU-Net's own unless told otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from umzoo.backbones.nnunet_config import ResEncConfig
from umzoo.config import Config
from umzoo.errors import ConfigError
from umzoo.files import replace_text
from umzoo.nnunet.environment import preprocessed_folder, require_nnunet
from umzoo.nnunet.planning.architecture_fit import Candidate, Origin, candidate, fitted, shapes_only
from umzoo.nnunet.planning.configuration import read_json
from umzoo.nnunet.planning.default_plan import OwnPlan, Preset, plan_without_writing, planned_architecture
from umzoo.nnunet.planning.input_contract import normalization_of, spacing_of, take_patch
from umzoo.nnunet.planning.plan_names import check_name
from umzoo.nnunet.planning.preprocessed_folder import data_identifier
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.io import read_info
from umzoo.weights.networks.nnunet_architecture import unet_options


class Choices(Config):
    """What is taken from nnU-Net's own plan, and what from the weights."""

    preset: Preset = Field("M", description="memory that nnU-Net's ResEnc planner fills: M 8, L 24, XL 40 GB")
    configuration: str = Field("3d_fullres", description="configuration of the plans")
    spacing: Origin = Field("nnunet", description="whose spacing; the weights' means to preprocess again")
    normalization: Origin = Field("nnunet", description="whose normalization; the weights' means to preprocess again")
    patch: Origin = Field("nnunet", description="whose patch size")
    kernels: Origin = Field("nnunet", description="whose kernels and strides")
    batch_size: int | None = Field(None, ge=1, description="patches per step; None: by nnU-Net's rule")

    @property
    def changed(self) -> list[str]:
        """Names of what is taken from the weights."""
        names = ("spacing", "normalization", "patch", "kernels")
        return [name for name in names if getattr(self, name) == "weights"]


@dataclass(frozen=True)
class Proposal:
    """Plans that are thought through and not written yet.

    Attributes:
        plans: content of the plans file.
        file: where it goes.
        choices: what was asked for.
        info: the weights.
        own: what nnU-Net would plan.
        candidates: nnU-Net's own network, the weights' stages with nnU-Net's kernels, and with the weights' kernels.
        taken: one of them.
    """

    plans: Mapping[str, Any]
    file: Path
    choices: Choices
    info: WeightsInfo
    own: OwnPlan
    candidates: tuple[Candidate, ...]
    taken: Candidate

    @property
    def name(self) -> str:
        """Name of the plans."""
        return self.file.stem

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration as planned."""
        return dict(self.plans["configurations"][self.choices.configuration])

    @property
    def own_settings(self) -> dict[str, Any]:
        """The configuration as nnU-Net plans it."""
        return self.own.configuration(self.choices.configuration)

    @property
    def preprocessed(self) -> bool:
        """Whether all cases are preprocessed for it already."""
        folder = self.file.parent / self.settings["data_identifier"]
        return len(list(folder.glob("*.pkl"))) >= int(self.own.dataset["numTraining"])

    def write(self) -> None:
        """Write the plans file; the same plans that are there already are left.

        Raises:
            ConfigError: if there are other plans of that name.
        """
        text = json.dumps(self.plans, indent=4)
        if self.file.exists():
            if read_json(self.file) != json.loads(text):
                raise ConfigError(f"{self.file} exists and holds other plans: choose another --name")
            return
        replace_text(self.file, text + "\n")


def propose(dataset: str, weights: Path, choices: Choices | None = None, name: str | None = None) -> Proposal:
    """Return plans for *dataset* whose network takes the most from the weights folder *weights*.

    nnU-Net's own planner is run (a ResEnc preset, or the default one for weights of a plain U-Net); of what it plans,
    the network gets the stages, features and blocks of the weights, and never more stages than planned.

    Args:
        dataset: number or full name, with a fingerprint.
        weights: weights folder of ``resenc_unet_*`` or ``plainconv_unet``.
        choices: what else is taken from the weights.
        name: name of the plans; None: made from the weights and the choices.

    Raises:
        ConfigError: if nnU-Net is missing or a choice cannot be met.
        DataError: if nnU-Net's planner lacks something.
        WeightsError: if the weights are not a U-Net of nnU-Net's.
    """
    require_nnunet()
    choices, info = choices or Choices(), read_info(weights)
    options = unet_options(info.backbone)
    residual = isinstance(options, ResEncConfig)
    own = base = plan_without_writing(dataset, residual, choices.preset)
    if choices.spacing == "weights":
        base = plan_without_writing(dataset, residual, choices.preset, spacing_of(info.input, choices.configuration))
    settings = base.configuration(choices.configuration)
    settings.pop("next_stage", None)
    if choices.patch == "weights":
        take_patch(settings, info.input, base.axes)
    if choices.normalization == "weights":
        settings |= normalization_of(info.input, base.channels)
    candidates = _candidates(own, base, settings, weights, choices)
    taken = candidates[1 + (choices.kernels == "weights")]
    folder = preprocessed_folder(dataset)
    file = folder / f"{name or plans_name(info, choices)}.json"
    check_name(name or file.stem)
    settings |= {
        "architecture": dict(taken.architecture),
        "patch_size": list(taken.patch),
        "batch_size": taken.batch_size,
    }
    settings["data_identifier"] = data_identifier(folder, choices.configuration, base, settings, own)
    plans = {
        **base.plans,
        "plans_name": file.stem,
        "configurations": {choices.configuration: settings},
        "umzoo_planned": {
            "weights": info.name,
            "sha256": dict(info.files),
            "choices": choices.model_dump(mode="json"),
            "encoder": taken.report.coverage,
            "decoder": taken.report.decoder_coverage,
        },
    }
    return Proposal(plans, file, choices, info, own, candidates, taken)


def plans_name(info: WeightsInfo, choices: Choices) -> str:
    """Return a name for plans, which tells the weights and the choices apart."""
    weights = re.sub(r"[^A-Za-z0-9]+", "-", info.name)
    other = [] if choices.configuration == "3d_fullres" else [choices.configuration.replace("_", "-")]
    batch = [] if choices.batch_size is None else [f"batch{choices.batch_size}"]
    return "-".join(["umzoo", weights, *other, *choices.changed, *batch, f"{choices.preset}Plans"])


def _candidates(
    own: OwnPlan, base: OwnPlan, settings: Mapping[str, Any], weights: Path, choices: Choices
) -> tuple[Candidate, ...]:
    state, options = shapes_only(weights), unet_options(read_info(weights).backbone)
    usual = own.configuration(choices.configuration)
    first = candidate("nnU-Net's own", own, usual, planned_architecture(usual), state, usual["batch_size"])
    entry = planned_architecture(settings)
    kernels: tuple[tuple[str, Origin], ...] = (
        ("stages of the weights", "nnunet"),
        ("kernels of the weights too", "weights"),
    )
    others = (
        candidate(title, base, settings, fitted(entry, options, origin), state, choices.batch_size)
        for title, origin in kernels
    )
    return (first, *others)
