"""U-Nets pre-trained by AMAES (https://github.com/asbjrnmunk/amaes) and by the baseline of the FOMO25 challenge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.backbones.state import named_tensors, shapes
from umzoo.backbones.unet3d import UNet3D
from umzoo.errors import WeightsError
from umzoo.spec import InputSpec, IntensityRule
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.importers.base import Importer
from umzoo.weights.importers.checkpoint import find_checkpoint, origin, read_state, some_names, split, summary

CITATION = (
    "Munk et al., AMAES: Augmented Masked Autoencoder Pretraining on Public Brain MRI Data for 3D-Native Segmentation,"
    " ADSMI at MICCAI 2024"
)
PREFIXES = ("module.", "_orig_mod.", "model.")
SOURCES: dict[str, dict[str, Any]] = {
    "amaes": {"url": "https://github.com/asbjrnmunk/amaes", "space": "unit", "patch_size": (128, 128, 128)},
    "fomo25": {"url": "https://github.com/fomo25/baseline-codebase", "space": "zscore", "patch_size": (96, 96, 96)},
}
"""Settings of the projects' own code: AMAES uses values in [0, 1], the challenge's baseline z-scored volumes."""
STAGES = 5
FIRST = "encoder.in_conv.conv1.conv.weight"


class AmaesImporter(Importer):
    """AMAES' and FOMO25's U-Nets (``unet_b``, ``unet_xl``), as saved by Lightning; their MedNeXt is not supported.

    Tensors keep their values. A decoder with skip connections is imported. AMAES' own decoder, which has none, and the
    last convolution go to ``pretext.safetensors`` under ``amaes.*``.
    """

    name = "amaes"

    class Config(config.Config):
        """Options of ``amaes``."""

        source: Literal["amaes", "fomo25"] | None = Field(
            None,
            description="project that trained it, which determines the input; None: amaes if the file has 'rec_head',"
            " otherwise fomo25",
        )
        tag: str | None = Field(None, description="tag in the name unet3d.tag; None: the source")

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the checkpoint *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, is not such a U-Net, or a tensor is missing or does not fit.
        """
        source = find_checkpoint(source)
        released = read_state(source, PREFIXES)
        guess = "amaes" if any(name.startswith("rec_head.") for name in released) else "fomo25"
        trained_by = self.config.source or guess
        theirs = {_ours(name): name for name in released}
        state = {name: released[original] for name, original in theirs.items()}
        with torch.device("meta"):
            network = UNet3D(UNet3D.Config.parse(_sizes(state) | {"input_space": SOURCES[trained_by]["space"]}))
        wanted = shapes(named_tensors(network))
        joint = state.get(kernel := "decoder.stages.0.0.conv.weight")
        whole = joint is not None and tuple(joint.shape) == wanted[kernel]
        parts = ("encoder", "decoder") if whole else ("encoder",)
        taken, others = split(state, {name: it for name, it in wanted.items() if name.startswith(parts)})
        rest = {theirs[name]: tensor for name, tensor in others.items()}
        save_folder(
            out,
            taken,
            self._describe(network, parts, license, trained_by, origin(source, SOURCES[trained_by]["url"]), rest),
            {f"{self.name}.{name}": tensor for name, tensor in rest.items()},
        )

    def _describe(
        self,
        network: UNet3D,
        parts: tuple[str, ...],
        license: str,
        trained_by: str,
        file: Mapping[str, str],
        rest: Mapping[str, Tensor],
    ) -> WeightsInfo:
        return WeightsInfo(
            name=f"{network.name}.{self.config.tag or trained_by}",
            backbone=network.spec,
            parts=parts,
            input=InputSpec(
                orientation="RAS",
                axes="xyz",
                spacing=(1.0, 1.0, 1.0),
                rules={"*": IntensityRule(kind="percentile", percentiles=(0.0, 100.0))},
                space=network.info.input_space,
                in_channels=network.info.in_channels,
                patch_size=SOURCES[trained_by]["patch_size"],
            ),
            license=license,
            citations=(CITATION,),
            amaes={**file, "also_holds": summary(rest)},
        )


def _ours(name: str) -> str:
    """Return umzoo's name for the original tensor *name*; *name* itself if it is not part of the network."""
    name = re.sub(r"^encoder\.in_conv\.", "encoder.encoder_conv0.", name)
    layer = re.fullmatch(r"encoder\.encoder_conv(\d)\.conv(\d)\.(conv|norm)\.(\w+)", name)
    if layer:
        return f"encoder.stages.{layer[1]}.{int(layer[2]) - 1}.{layer[3]}.{layer[4]}"
    if layer := re.fullmatch(r"(?:decoder|rec_head|pred_head)\.decoder_conv(\d)\.conv(\d)\.(conv|norm)\.(\w+)", name):
        return f"decoder.stages.{int(layer[1]) - 1}.{int(layer[2]) - 1}.{layer[3]}.{layer[4]}"
    if layer := re.fullmatch(r"(?:decoder|rec_head|pred_head)\.upsample(\d)\.(\w+)", name):
        return f"decoder.upsamplers.{int(layer[1]) - 1}.{layer[2]}"
    return name


def _sizes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Options of the network with the tensors *state*, which have umzoo's names.

    Raises:
        WeightsError: if it is not one of these U-Nets.
    """
    kernels = [state.get(f"encoder.stages.{stage}.0.conv.weight") for stage in range(STAGES)]
    if any(kernel is None or kernel.ndim != 5 for kernel in kernels):
        raise WeightsError(
            f"the file contains no U-Net of AMAES or FOMO25 (expected {FIRST}, ...): it has {some_names(state)}"
        )
    double = "decoder.stages.0.1.conv.weight" in state
    return {
        "in_channels": int(kernels[0].shape[1]),  # type: ignore[union-attr]
        "features_per_stage": tuple(int(kernel.shape[0]) for kernel in kernels if kernel is not None),
        "n_conv_per_stage_decoder": 2 if double else 1,
    }
