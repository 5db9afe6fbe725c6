"""Models Genesis (Zhou et al., MICCAI 2019): the released ``Genesis_Chest_CT.pt`` and networks fine-tuned from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.backbones.state import named_tensors, shapes
from umzoo.backbones.unet import GenesisUNet
from umzoo.spec import ComponentSpec, InputSpec, IntensityRule
from umzoo.weights.folder.info import Provenance, WeightsInfo
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.importers.base import Importer
from umzoo.weights.importers.checkpoint import find_checkpoint, origin, read_state, split, summary

URL = "https://github.com/MrGiovanni/ModelsGenesis"
CITATION = "Zhou et al., Models Genesis, Medical Image Analysis 67, 2021"
PREFIXES = ("module.", "base_model.", "_orig_mod.", "model.", "backbone.", "net.")
HEAD = {"out_tr.final_conv.weight": (1, 64, 1, 1, 1), "out_tr.final_conv.bias": (1,)}


class ModelsGenesisImporter(Importer):
    """Genesis Chest CT: a dict with ``state_dict``, its 106 keys with or without ``module.`` (from DataParallel).

    Tensors keep their values. The original updates running statistics but never uses them. Here evaluation mode uses
    them, so an output does not depend on the rest of the batch; ``batch_statistics=true`` restores the original
    behavior. The authors' arrays have axes (x, y, z), not umzoo's (z, y, x), which the input spec records.

    The last convolution becomes the parameters of the restoration task. Networks fine-tuned from it may contain other
    tensors (the prefix ``base_model.`` is accepted); these go to ``pretext.safetensors`` under ``models_genesis.*``.
    """

    name = "models_genesis"

    class Config(config.Config):
        """Options of ``models_genesis``."""

        tag: str | None = Field(
            None,
            description="tag in the name genesis_unet.tag; None: chest_ct, or fine_tuned if the file has other heads",
        )
        batch_statistics: bool | None = Field(
            None,
            description="use batch statistics in evaluation mode, as the original does; None: only if the file's"
            " running statistics were never updated",
        )

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the checkpoint *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, or a tensor of the network is missing or has another shape.
        """
        source = find_checkpoint(source)
        released = read_state(source, PREFIXES)
        kernel = released.get("down_tr64.ops.0.conv1.weight")
        channels = 1 if kernel is None or kernel.ndim != 5 else int(kernel.shape[1])
        with torch.device("meta"):
            network = GenesisUNet(GenesisUNet.Config(in_channels=channels))
        names = {released_name(name): name for name in named_tensors(network)}
        wanted = {released_name(name): shape for name, shape in shapes(named_tensors(network)).items()}
        taken, rest = split(released, wanted)
        restores = HEAD.items() <= shapes(rest).items()
        head = {name: rest.pop(name) for name in HEAD} if restores else {}
        batch = self.config.batch_statistics
        network.config = network.config.model_copy(
            update={"batch_statistics": not _measured(taken) if batch is None else batch}
        )
        info = _describe(network.spec, license, self.config.tag, restores and not rest)
        heads = {f"restoration.head.{name.rpartition('.')[2]}": tensor for name, tensor in head.items()}
        save_folder(
            out,
            {names[theirs]: tensor for theirs, tensor in taken.items()},
            info.model_copy(update={"models_genesis": {**origin(source, URL), "also_holds": summary(rest)}}),
            heads | {f"models_genesis.{name}": tensor for name, tensor in rest.items()},
        )


def released_name(name: str) -> str:
    """Return the released checkpoint's name for tensor *name* of ``genesis_unet``."""
    return name.removeprefix("encoder.").removeprefix("decoder.")


def _measured(released: Mapping[str, Tensor]) -> bool:
    """Whether running statistics differ from their initial values."""
    means, variances = ([v for name, v in released.items() if name.endswith(f"running_{it}")] for it in ("mean", "var"))
    return any(bool(mean.any()) for mean in means) or any(bool((variance != 1).any()) for variance in variances)


def _describe(backbone: ComponentSpec, license: str, tag: str | None, original: bool) -> WeightsInfo:
    known: dict[str, Any] = {
        "pretext": {"tasks": [{"name": "restoration"}]},
        "provenance": Provenance(datasets={"LUNA16": 623}, modalities={"ct": 623}, volumes=623),
    }
    return WeightsInfo(
        name=f"genesis_unet.{tag or ('chest_ct' if original else 'fine_tuned')}",
        backbone=backbone,
        input=InputSpec(
            axes="xyz",
            rules={
                "ct": IntensityRule(kind="window", window=(-1000.0, 1000.0)),
                "*": IntensityRule(kind="percentile", percentiles=(0.5, 99.5)),
            },
            space="unit",
            in_channels=backbone.options.get("in_channels", 1),
            patch_size=(64, 64, 32),
        ),
        license=license,
        citations=(CITATION,),
        **(known if original else {}),
    )
