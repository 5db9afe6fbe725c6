"""The image encoder of Merlin (https://github.com/StanfordMIMI/Merlin), a ResNet-152 inflated to 3D."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from umzoo.weights.importers.resnet_network import resnet_kind, resnet_widths, with_counters

URL = "https://github.com/StanfordMIMI/Merlin"
CITATION = (
    "Blankemeier et al., Merlin: a computed tomography vision-language foundation model and dataset, Nature, 2026"
)
PREFIXES = ("module.", "_orig_mod.", "model.", "encode_image.", "i3_resnet.")
STEM = "conv1.weight"


class MerlinImporter(Importer):
    """Merlin's image encoder, a ResNet without dilation, from a file with or without the text encoder.

    Tensors keep their values, with one exception: the original repeats the image for the three channels of its first
    kernel, so the kernel is summed over them. Other tensors (text encoder, phenotypes, contrastive head) go to
    ``pretext.safetensors`` under ``merlin.*``.
    """

    name = "merlin"

    class Config(config.Config):
        """Options of ``merlin``."""

        tag: str = Field("merlin", description="tag in the name architecture.tag")

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the checkpoint *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, is not such a ResNet, or a tensor is missing or does not fit.
        """
        source = find_checkpoint(source)
        released = _of_one_channel(read_state(source, PREFIXES))
        kind = resnet_kind(released, "Merlin")
        stem = {"stem_kernel": (3, 7, 7), "stem_stride": (1, 2, 2)}
        options = {"shortcut": "B", "dilated": False, "input_space": "unit", **stem, **resnet_widths(released)}
        with torch.device("meta"):
            network = kind(kind.Config.parse(options))
        tensors = shapes(named_tensors(network))
        wanted = {
            name.removeprefix("encoder."): shape for name, shape in tensors.items() if name.startswith("encoder.")
        }
        taken, rest = split(with_counters(released, wanted), wanted)
        save_folder(
            out,
            {f"encoder.{name}": tensor for name, tensor in taken.items()},
            self._describe(network, license, {**origin(source, URL), "also_holds": summary(rest)}),
            {f"{self.name}.{name}": tensor for name, tensor in rest.items()},
        )

    def _describe(self, network: ResNet3D, license: str, about: Mapping[str, Any]) -> WeightsInfo:
        rules = {
            "ct": IntensityRule(kind="window", window=(-1000.0, 1000.0)),
            "*": IntensityRule(kind="percentile", percentiles=(0.5, 99.5)),
        }
        return WeightsInfo(
            name=f"{network.name}.{self.config.tag}",
            backbone=network.spec,
            parts=("encoder",),
            input=InputSpec(
                orientation="RAS",
                axes="zxy",
                spacing=(3.0, 1.5, 1.5),
                rules=rules,
                space="unit",
                in_channels=network.info.in_channels,
                patch_size=(160, 224, 224),
            ),
            license=license,
            citations=(CITATION,),
            merlin=dict(about),
        )


def _of_one_channel(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """*state* with the first kernel summed over its channels, which all read the same image."""
    kernel = state.get(STEM)
    if kernel is None or kernel.ndim != 5:
        return dict(state)
    return {**state, STEM: kernel.sum(dim=1, keepdim=True)}
