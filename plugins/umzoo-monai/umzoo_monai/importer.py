"""Importer of published Swin UNETR weights: MONAI's self-supervised ones, VoCo's, and others with MONAI's names."""

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

PREFIXES = ("module.", "backbone.", "_orig_mod.", "model.", "net.")
RENAMES = (
    (r"^encoder\.(?=patch_embed\.|layers\d)", "swinViT."),
    (r"^(?=patch_embed\.|layers\dc?\.)", "swinViT."),
    (r"^(swinViT\.layers\d\.0)\.0\.(?=blocks\.|downsample\.)", r"\1."),
    (r"\.mlp\.fc(?=[12]\.)", ".mlp.linear"),
)
"""Renaming of tensors from older versions, self-supervised heads and Disruptive Autoencoders to current names."""
SOURCES: dict[str, dict[str, Any]] = {
    "monai_ssl": {
        "url": "https://github.com/Project-MONAI/research-contributions/tree/main/SwinUNETR/Pretrain",
        "cite": "Tang et al., Self-Supervised Pre-Training of Swin Transformers for 3D Medical Image Analysis, 2022",
        "window": (-1000.0, 1000.0),
        "spacing": None,
    },
    "voco": {
        "url": "https://github.com/Luffy03/Large-Scale-Medical",
        "cite": "Wu et al., Large-Scale 3D Medical Image Pre-training with Geometric Context Priors, TPAMI 2026",
        "window": (-175.0, 250.0),
        "spacing": (1.5, 1.5, 1.5),
    },
    "swin_unetr": {
        "url": "https://github.com/Project-MONAI/MONAI",
        "cite": "Hatamizadeh et al., Swin UNETR, arXiv 2201.01266, 2022",
        "window": (-175.0, 250.0),
        "spacing": None,
    },
}
"""Defaults of the projects' training code."""


class MonaiSwinImporter(Importer):
    """Imports Swin UNETR or only its transformer; infers sizes from the tensors, and handles all MONAI versions.

    A file with the whole network, or without decoder (VoCo's SSL heads), becomes a ``swin_unetr``; one with the
    transformer only (MONAI's ``model_swinvit.pt``) a ``swin_vit``. Tensors keep their values; other tensors of the file
    are stored in ``pretext.safetensors`` under ``monai_swin.*``.
    """

    name = "monai_swin"

    class Config(umzoo.Config):
        """Options of ``monai_swin``."""

        source: Literal["monai_ssl", "voco", "swin_unetr"] | None = Field(
            None, description="origin of the weights, which sets the input; by default voco for networks of the second"
            " version, monai_ssl for the transformer alone, else swin_unetr"
        )  # fmt: skip
        tag: str | None = Field(None, description="tag of the weights' name; by default the source")
        window: tuple[float, float] | None = Field(
            None, description="HU mapped to 0 and 1; by default those of the source"
        )
        downsample: Literal["merging", "mergingv2"] = Field("merging", description="version of token merging")

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the checkpoint *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, is not a Swin UNETR, or a tensor is missing or does not fit.
        """
        source = find_checkpoint(source)
        released = current_names(read_state(source, PREFIXES))
        options = network_options(released) | {"downsample": self.config.downsample}
        kind = "swin_unetr" if "encoder1.layer.conv1.conv.weight" in released else "swin_vit"
        network = zoo().backbones.build({"name": kind, **options})
        tensors = named_tensors(network)
        names = {name.partition(".")[2]: name for name in tensors}
        constants = {name: it for name, it in tensors.items() if name.endswith(".relative_position_index")}
        filled = {name.partition(".")[2]: it for name, it in constants.items()} | released
        whole = any(name.startswith("decoder") for name in released)
        parts = ("encoder", "decoder") if whole else ("encoder",)
        wanted = {theirs: tuple(tensors[name].shape) for theirs, name in names.items() if name.startswith(parts)}
        taken, rest = split(filled, wanted)
        info = self._describe(network, parts, license, source, rest)
        save_folder(
            out,
            {names[theirs]: tensor for theirs, tensor in taken.items()},
            info,
            {f"{self.name}.{name}": tensor for name, tensor in rest.items()},
        )

    def _describe(
        self, network: umzoo.Backbone, parts: tuple[str, ...], license: str, file: Path, rest: Mapping[str, Tensor]
    ) -> WeightsInfo:
        guess = "voco" if network.config.use_v2 else "monai_ssl" if network.name == "swin_vit" else "swin_unetr"
        source = self.config.source or guess
        known = SOURCES[source]
        return WeightsInfo(
            name=f"{network.name}.{self.config.tag or source}",
            backbone=network.spec,
            parts=parts,
            input=InputSpec(
                orientation="RAS",
                axes="xyz",
                spacing=known["spacing"],
                rules={
                    "ct": IntensityRule(kind="window", window=self.config.window or known["window"]),
                    "*": IntensityRule(kind="percentile", percentiles=(0.5, 99.5)),
                },
                space="unit",
                in_channels=network.info.in_channels,
                patch_size=(96, 96, 96) if source == "monai_ssl" else None,
            ),
            license=license,
            citations=(known["cite"],),
            monai_swin={**origin(file, known["url"]), "also_holds": summary(rest)},
        )


def current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return *state* with the names of current MONAI."""
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def network_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the options of the network of the tensors *state*, which have current names.

    Raises:
        WeightsError: if it is not a Swin transformer, or its windows are not cubes.
    """
    kernel = state.get("swinViT.patch_embed.proj.weight")
    tables = [state.get(f"swinViT.layers{n}.0.blocks.0.attn.relative_position_bias_table") for n in (1, 2, 3, 4)]
    if kernel is None or any(table is None for table in tables):
        raise WeightsError(
            "the file has no Swin transformer in MONAI's names (swinViT.layers1.0.blocks.0.attn.*):"
            f" it has {some_names(state)}"
        )
    rows = {int(table.shape[0]) for table in tables if table is not None}
    edge = round(max(rows) ** (1 / 3))
    if rows != {edge**3}:
        raise WeightsError(f"attention windows must be equal cubes, got tables of {sorted(rows)} rows")
    pattern = re.compile(r"swinViT\.layers(\d)\.0\.blocks\.(\d+)\.norm1\.weight")
    blocks = [match[1] for match in map(pattern.match, state) if match]
    return {
        "in_channels": int(kernel.shape[1]),
        "feature_size": int(kernel.shape[0]),
        "depths": tuple(blocks.count(str(n)) for n in (1, 2, 3, 4)),
        "num_heads": tuple(int(table.shape[1]) for table in tables if table is not None),
        "window_size": (edge + 1) // 2,
        "use_v2": any(name.startswith("swinViT.layers1c.") for name in state),
    }
