"""The checkpoints of anatomix (https://github.com/neel-dey/anatomix), U-Nets pre-trained on synthetic volumes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

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

URL = "https://github.com/neel-dey/anatomix"
CITATION = (
    "Dey et al., Learning General-Purpose Biomedical Volume Representations using Randomized Synthesis, ICLR 2025"
)
PREFIXES = ("module.", "_orig_mod.")
LAYERS = 3
"""Layers from one convolution to the next: convolution, norm, activation. Between stages there is one more."""
RELEASED: dict[str, dict[str, Any]] = {
    "anatomix": {"norm": "batch", "conv_bias": False, "upsampling": "nearest"},
    "anatomix_dev": {
        "norm": "instance", "norm_affine": False, "norm_eps": 1e-2, "pooling": "avg", "upsampling": "trilinear",
    },
}  # fmt: skip
"""Options of the two U-Nets that cannot be inferred from tensors (anatomix/model/load_from_hf.py)."""


class AnatomixImporter(Importer):
    """anatomix' U-Nets. Widths and depth are inferred from the tensors, the variant from running statistics.

    Tensors keep their values. The input channels of decoder kernels are reordered, because the original concatenates
    the skip connection first. The dense features are the released ones, the output of the last convolution.
    """

    name = "anatomix"

    class Config(config.Config):
        """Options of ``anatomix``."""

        tag: str | None = Field(None, description="tag in the name unet3d.tag; None: anatomix or anatomix_dev")

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the checkpoint *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, is not such a U-Net, or a tensor is missing or does not fit.
        """
        source = find_checkpoint(source)
        released = read_state(source, PREFIXES)
        layout = _layout(released)
        variant = "anatomix" if any(name.endswith("running_mean") for name in released) else "anatomix_dev"
        common = {"negative_slope": 0.0, "padding": "reflect", "input_space": "unit"}
        with torch.device("meta"):
            network = UNet3D(UNet3D.Config.parse(_sizes(released, layout) | common | RELEASED[variant]))
        ours = {name: layout.ours(name) for name in released}
        taken, rest = split(
            {ours[name]: _skip_last(ours[name], it) for name, it in released.items()}, shapes(named_tensors(network))
        )
        save_folder(
            out,
            taken,
            self._describe(network, variant, license, {**origin(source, URL), "also_holds": summary(rest)}),
            {f"{self.name}.{name}": tensor for name, tensor in rest.items()},
        )

    def _describe(self, network: UNet3D, variant: str, license: str, about: Mapping[str, Any]) -> WeightsInfo:
        return WeightsInfo(
            name=f"{network.name}.{self.config.tag or variant}",
            backbone=network.spec,
            parts=("encoder", "decoder"),
            input=InputSpec(
                orientation="as stored",
                axes="xyz",
                rules={"*": IntensityRule(kind="percentile", percentiles=(0.0, 100.0))},
                space="unit",
                in_channels=network.info.in_channels,
                patch_size=(128, 128, 128),
            ),
            license=license,
            citations=(CITATION,),
            anatomix=dict(about),
        )


class Layout(NamedTuple):
    """Positions of the convolutions in the original's list of layers, by stage of encoder and decoder."""

    encoder: list[list[int]]
    decoder: list[list[int]]
    last: int

    def ours(self, name: str) -> str:
        """Return umzoo's name for the original tensor *name*; *name* itself if it is not part of the network."""
        match = re.fullmatch(r"model\.(\d+)\.(\w+)", name)
        if match is None:
            return name
        place, what = int(match[1]), match[2]
        if place == self.last:
            return f"decoder.last.{what}"
        for part, stages in (("encoder", self.encoder), ("decoder", self.decoder)):
            for stage, places in enumerate(stages):
                for layer, kind in ((place, "conv"), (place - 1, "norm")):
                    if layer in places:
                        return f"{part}.stages.{stage}.{places.index(layer)}.{kind}.{what}"
        return name


def _layout(state: Mapping[str, Tensor]) -> Layout:
    """Infer the stages from the gaps between convolutions.

    Raises:
        WeightsError: if it is not one of anatomix' U-Nets.
    """
    matches = (re.fullmatch(r"model\.(\d+)\.weight", name) for name, it in state.items() if it.ndim == 5)
    places = sorted(int(match[1]) for match in matches if match)
    stages: list[list[int]] = []
    for before, place in zip((-LAYERS, *places), places, strict=False):
        if place - before == LAYERS and stages:
            stages[-1].append(place)
        else:
            stages.append([place])
    if len(stages) < 3 or len(stages) % 2 == 0 or len(stages[-1]) < 2:
        raise WeightsError(
            f"the file contains no U-Net of anatomix (expected model.0.weight, ...): it has {some_names(state)}"
        )
    levels = (len(stages) + 1) // 2
    return Layout(stages[:levels], [*stages[levels:-1], stages[-1][:-1]], stages[-1][-1])


def _sizes(state: Mapping[str, Tensor], layout: Layout) -> dict[str, Any]:
    return {
        "in_channels": int(state[f"model.{layout.encoder[0][0]}.weight"].shape[1]),
        "features_per_stage": tuple(int(state[f"model.{places[-1]}.weight"].shape[0]) for places in layout.encoder),
        "n_conv_per_stage": tuple(map(len, layout.encoder)),
        "n_conv_per_stage_decoder": tuple(map(len, layout.decoder)),
        "out_channels": int(state[f"model.{layout.last}.weight"].shape[0]),
    }


def _skip_last(name: str, tensor: Tensor) -> Tensor:
    """*tensor* with the input channels of the skip connection moved last, in kernels that read a skip connection."""
    if not re.fullmatch(r"decoder\.stages\.\d+\.0\.conv\.weight", name):
        return tensor
    skip = tensor.shape[0]
    return torch.cat((tensor[:, skip:], tensor[:, :skip]), dim=1)
