"""The released checkpoint of Models Genesis (Zhou et al., MICCAI 2019), ``Genesis_Chest_CT.pt``."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from umzoo.backbones.state import named_tensors, require_same, shapes
from umzoo.backbones.unet import GenesisUNet
from umzoo.errors import WeightsError
from umzoo.spec import InputSpec, IntensityRule
from umzoo.weights.importers.base import Importer
from umzoo.weights.info import Provenance, WeightsInfo
from umzoo.weights.io import save_folder

CITATION = "Zhou et al., Models Genesis, Medical Image Analysis 67, 2021"


class ModelsGenesisImporter(Importer):
    """Genesis Chest CT: a dict with ``state_dict``, its 106 keys with or without ``module.`` (from DataParallel).

    Tensors keep their values. The authors' arrays have axes (x, y, z), not umzoo's (z, y, x): the input spec says so.
    The last convolution becomes the parameters of the restoration task.
    """

    name = "models_genesis"

    def run(self, source: Path, out: Path, licence: str = "unknown") -> None:
        """Read the checkpoint *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, or a tensor is missing, extra or has another shape than expected.
        """
        released = _read(source)
        with torch.device("meta"):
            network = GenesisUNet()
        backbone = {released_name(name): name for name in named_tensors(network)}
        head = {f"out_tr.final_conv.{part}": f"restoration.head.{part}" for part in ("weight", "bias")}
        wanted = {released_name(name): shape for name, shape in shapes(named_tensors(network)).items()}
        wanted |= {"out_tr.final_conv.weight": (1, 64, 1, 1, 1), "out_tr.final_conv.bias": (1,)}
        require_same(wanted, shapes(released))
        save_folder(
            out,
            {name: released[theirs] for theirs, name in backbone.items()},
            _describe(network, licence),
            {name: released[theirs] for theirs, name in head.items()},
        )


def released_name(name: str) -> str:
    """Return the released checkpoint's name for tensor *name* of ``genesis_unet``."""
    return name.removeprefix("encoder.").removeprefix("decoder.")


def _read(source: Path) -> dict[str, Tensor]:
    """The state dict in *source*, without the prefix of DataParallel."""
    try:
        content: Any = torch.load(source, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{source} cannot be read as a checkpoint of tensors: {reason}") from None
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise WeightsError(f"{source} holds no 'state_dict': expected the file Genesis_Chest_CT.pt")
    return {name.removeprefix("module."): value for name, value in state.items() if isinstance(value, Tensor)}


def _describe(network: GenesisUNet, licence: str) -> WeightsInfo:
    return WeightsInfo(
        name="genesis_unet.chest_ct",
        backbone=network.spec,
        input=InputSpec(
            axes="xyz",
            rules={
                "ct": IntensityRule(kind="window", window=(-1000.0, 1000.0)),
                "*": IntensityRule(kind="percentile", percentiles=(0.5, 99.5)),
            },
            space="unit",
            patch_size=(64, 64, 32),
        ),
        pretext={"tasks": [{"name": "restoration"}]},
        provenance=Provenance(datasets={"LUNA16": 623}, modalities={"ct": 623}, volumes=623),
        licence=licence,
        citations=(CITATION,),
    )
