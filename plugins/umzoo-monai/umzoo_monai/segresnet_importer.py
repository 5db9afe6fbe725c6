"""Importer of published SegResNet weights: SuPreM's, CT-FM's, and others with MONAI's names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

import umzoo
from umzoo.backbones.state import named_tensors
from umzoo.errors import WeightsError
from umzoo.plugins import zoo
from umzoo.spec import InputSpec, IntensityRule
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.importers.base import Importer
from umzoo.weights.importers.checkpoint import find_checkpoint, origin, read_state, some_names, split, summary

PREFIXES = ("module.", "_orig_mod.", "backbone.", "model.", "net.")
SOURCES: dict[str, dict[str, Any]] = {
    "suprem": {
        "url": "https://github.com/MrGiovanni/SuPreM",
        "cite": "Li et al., How Well Do Supervised 3D Models Transfer to Medical Imaging Tasks?, ICLR 2024",
        "input": {"orientation": "RAS", "axes": "xyz", "spacing": (1.5, 1.5, 1.5), "patch_size": (96, 96, 96)},
        "window": (-175.0, 250.0),
    },
    "ct_fm": {
        "url": "https://github.com/project-lighter/CT-FM",
        "cite": "Pai et al., Vision Foundation Models for Computed Tomography, arXiv:2501.09001, 2025",
        "input": {"orientation": "LPS", "axes": "zyx", "spacing": (3.0, 1.0, 1.0), "patch_size": (24, 128, 128)},
        "window": (-1024.0, 2048.0),
    },
    "segresnet": {
        "url": "https://github.com/Project-MONAI/MONAI",
        "cite": "Myronenko, 3D MRI Brain Tumor Segmentation Using Autoencoder Regularization, arXiv:1810.11654, 2018",
        "input": {"orientation": "RAS", "axes": "xyz", "spacing": None, "patch_size": None},
        "window": (-175.0, 250.0),
    },
}
"""Settings of the projects' code. CT-FM's axes are superior, posterior and left, which is ``zyx`` in LPS."""


class SegResNetImporter(Importer):
    """Imports SegResNet of either version; infers sizes from the tensors.

    From a file with the encoder alone (CT-FM's feature extractor), only the encoder is imported. Tensors keep their
    values; other tensors of the file, such as the last convolution, are stored in ``pretext.safetensors`` under
    ``monai_segresnet.*``.
    """

    name = "monai_segresnet"

    class Config(umzoo.Config):
        """Options of ``monai_segresnet``."""

        source: Literal["suprem", "ct_fm", "segresnet"] = Field(
            "segresnet", description="origin of the weights, which sets the input"
        )
        tag: str | None = Field(None, description="tag of the weights' name; by default the source")
        window: tuple[float, float] | None = Field(
            None, description="HU mapped to 0 and 1; by default those of the source"
        )

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the checkpoint *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, is not a SegResNet, or a tensor is missing or does not fit.
        """
        source = find_checkpoint(source)
        released = _without_encoder(read_state(source, PREFIXES))
        network = zoo().backbones.build(network_options(released))
        names = type(network).contract_names(list(released))
        tensors = named_tensors(network)
        whole = any(name.startswith("decoder.") for name in names.values())
        parts = ("encoder", "decoder") if whole else ("encoder",)
        theirs = {name: their for their, name in names.items()}
        wanted = {theirs.get(name, name): tuple(it.shape) for name, it in tensors.items() if name.startswith(parts)}
        taken, rest = split(released, wanted)
        save_folder(
            out,
            {names[their]: tensor for their, tensor in taken.items()},
            self._describe(network, parts, license, source, rest),
            {f"{self.name}.{name}": tensor for name, tensor in rest.items()},
        )

    def _describe(
        self, network: umzoo.Backbone, parts: tuple[str, ...], license: str, file: Path, rest: Mapping[str, Tensor]
    ) -> WeightsInfo:
        known = SOURCES[self.config.source]
        rules = {
            "ct": IntensityRule(kind="window", window=self.config.window or known["window"]),
            "*": IntensityRule(kind="percentile", percentiles=(0.5, 99.5)),
        }
        return WeightsInfo(
            name=f"{network.name}.{self.config.tag or self.config.source}",
            backbone=network.spec,
            parts=parts,
            input=InputSpec(**known["input"], rules=rules, space="unit", in_channels=network.info.in_channels),
            license=license,
            citations=(known["cite"],),
            monai_segresnet={**origin(file, known["url"]), "also_holds": summary(rest)},
        )


def _without_encoder(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefix ``encoder.`` from the names of a separate encoder."""
    if any(name.startswith("up_layers.") for name in state):
        return state
    return {name.removeprefix("encoder."): tensor for name, tensor in state.items()}


def network_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return name and options of the network of the tensors *state*.

    Raises:
        WeightsError: if it is not a SegResNet.
    """
    if (kernel := state.get("convInit.conv.weight")) is not None:
        blocks = {
            "blocks_down": _counts(state, r"down_layers\.(\d+)\.(\d+)\.conv1\.conv\.weight"),
            "blocks_up": _counts(state, r"up_layers\.(\d+)\.(\d+)\.conv1\.conv\.weight"),
        }
        return {"name": "segresnet", **_sizes(kernel), **blocks}
    encoder = {name.removeprefix("encoder."): it for name, it in state.items() if not name.startswith("up_layers.")}
    if (kernel := encoder.get("conv_init.weight")) is not None:
        blocks = {"blocks_down": _counts(encoder, r"layers\.(\d+)\.blocks\.(\d+)\.conv1\.weight")}
        running = any(name.endswith(".running_mean") for name in encoder)
        return {"name": "segresnet_ds", **_sizes(kernel), **blocks, "norm": "batch" if running else "instance"}
    raise WeightsError(
        "the file has no SegResNet in MONAI's names (convInit.conv.weight, or encoder.conv_init.weight):"
        f" it has {some_names(state)}"
    )


def _sizes(kernel: Tensor) -> dict[str, int]:
    return {"init_filters": int(kernel.shape[0]), "in_channels": int(kernel.shape[1])}


def _counts(state: Mapping[str, Tensor], pattern: str) -> tuple[int, ...]:
    """Return the number of residual blocks of each level, from the names of their first convolutions."""
    levels = [int(match[1]) for match in (re.fullmatch(pattern, name) for name in state) if match]
    return tuple(levels.count(level) for level in sorted(set(levels)))
