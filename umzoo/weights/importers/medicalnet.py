"""The checkpoints of MedicalNet (https://github.com/Tencent/MedicalNet), 3D ResNets of 10 to 200 layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.backbones.resnet import ResNet3D
from umzoo.backbones.state import named_tensors, shapes
from umzoo.spec import InputSpec, IntensityRule
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.importers.base import Importer
from umzoo.weights.importers.checkpoint import find_checkpoint, origin, read_state, split, summary
from umzoo.weights.importers.resnet_network import resnet_kind, resnet_widths, with_counters, without_biases

URL = "https://github.com/Tencent/MedicalNet"
CITATION = "Chen et al., Med3D: Transfer Learning for 3D Medical Image Analysis, arXiv 1904.00625, 2019"
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "net.")
NORMALIZATION = "z-score by the voxels above 0; zero voxels were replaced by Gaussian noise"


class MedicalNetImporter(Importer):
    """MedicalNet's ResNets, with or without the prefix ``module.``; depth and shortcut type are inferred from tensors.

    Tensors keep their values, except that the biases of MONAI's shortcuts are moved into the following norm. A decoder
    ``conv_seg`` is imported, except for its last convolution, which goes to ``pretext.safetensors``.
    """

    name = "medicalnet"

    class Config(config.Config):
        """Options of ``medicalnet``."""

        tag: str = Field("medicalnet", description="tag in the name architecture.tag")
        shortcut: Literal["A", "B"] | None = Field(None, description="shortcut type; None: inferred from the tensors")

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the checkpoint *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, is not a ResNet of MedicalNet, or a tensor is missing or does not fit.
        """
        source = find_checkpoint(source)
        released = without_biases(read_state(source, PREFIXES))
        kind = resnet_kind(released, "MedicalNet")
        options = {"shortcut": self.config.shortcut or _shortcut(released), **resnet_widths(released)}
        with torch.device("meta"):
            network = kind(kind.Config.parse(options))
        names = {name.partition(".")[2]: name for name in named_tensors(network)}
        wanted = {name.partition(".")[2]: shape for name, shape in shapes(named_tensors(network)).items()}
        if not any(name.startswith("conv_seg.") for name in released):
            wanted = {name: shape for name, shape in wanted.items() if not name.startswith("conv_seg.")}
        taken, rest = split(with_counters(released, wanted), wanted)
        parts = sorted({names[name].partition(".")[0] for name in taken}, reverse=True)
        save_folder(
            out,
            {names[name]: tensor for name, tensor in taken.items()},
            self._describe(network, tuple(parts), license, source, rest),
            {f"medicalnet.{name}": tensor for name, tensor in rest.items()},
        )

    def _describe(
        self, network: ResNet3D, parts: tuple[str, ...], license: str, source: Path, rest: Mapping[str, Tensor]
    ) -> WeightsInfo:
        return WeightsInfo(
            name=f"{network.name}.{self.config.tag}",
            backbone=network.spec,
            parts=parts,
            input=InputSpec(
                orientation="as stored",
                rules={"*": IntensityRule(kind="percentile", percentiles=(0.0, 100.0))},
                in_channels=network.info.in_channels,
            ),
            license=license,
            citations=(CITATION,),
            medicalnet={**origin(source, URL), "normalization": NORMALIZATION, "also_holds": summary(rest)},
        )


def _shortcut(state: Mapping[str, Tensor]) -> str:
    return "B" if any(".downsample." in name for name in state) else "A"
