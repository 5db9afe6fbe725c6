"""Checkpoints of plain 3D vision transformers: 3DINO, BrainIAC, and others with names of DINOv2, timm or MONAI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.backbones.base import Backbone
from umzoo.backbones.state import named_tensors, shapes
from umzoo.plugins import zoo
from umzoo.spec import InputSpec, IntensityRule
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.importers.base import Importer
from umzoo.weights.importers.checkpoint import find_checkpoint, origin, read_state, split, summary
from umzoo.weights.importers.vit3d_network import network_options, timm_state, with_own_class_token

PREFIXES = ("module.", "_orig_mod.", "backbone.", "model.", "net.")
MONAI_POSITIONS, MONAI_EPS = "patch_embedding.position_embeddings", 1e-5
EVERYTHING = IntensityRule(kind="percentile", percentiles=(0.0, 100.0))
SOURCES: dict[str, dict[str, Any]] = {
    "3dino": {
        "url": "https://github.com/AICONSlab/3DINO",
        "cite": "Xu et al., A generalizable 3D framework and model for self-supervised learning in medical imaging,"
        " npj Digital Medicine, 2025",
        "rules": {"*": IntensityRule(kind="percentile", percentiles=(0.05, 99.95))},
        "input": {"orientation": "RAS", "axes": "xyz"},
        "network": {"input_space": "unit", "pooled": "class"},
        "normalization": "percentiles 0.05 and 99.95 of all voxels were mapped to -1 and 1; the patch embedding was"
        " converted to inputs from 0 to 1",
    },
    "brainiac": {
        "url": "https://github.com/AIM-KannLab/BrainIAC",
        "cite": "Tak et al., A generalizable foundation model for analysis of human brain MRI, Nature Neuroscience,"
        " 2026",
        "rules": {"*": EVERYTHING},
        "input": {"orientation": "as stored", "axes": "xyz"},
        "network": {},
        "normalization": "z-score of the nonzero voxels (zeros stayed 0); skull-stripped heads, registered to an atlas"
        " and resized to 96 x 96 x 96",
    },
    "vit3d": {"url": "", "cite": "", "rules": {"*": EVERYTHING}, "input": {}, "network": {}, "normalization": ""},
}
"""Settings of the projects' own code."""


class ViT3DImporter(Importer):
    """Plain 3D vision transformers with tensor names of DINOv2 (3DINO), timm or MONAI (BrainIAC).

    Sizes are inferred from the tensors. Tensors keep their values, with two exceptions: the class token's position
    embedding is added to the token, and for 3DINO the patch embedding is converted from inputs in [-1, 1] to [0, 1].
    Other tensors (heads, the mask token) go to ``pretext.safetensors`` under ``vit3d.*``.
    """

    name = "vit3d"

    class Config(config.Config):
        """Options of ``vit3d``."""

        source: Literal["3dino", "brainiac", "vit3d"] = Field(
            "vit3d", description="project that trained it, which determines the input"
        )
        tag: str | None = Field(None, description="tag in the name architecture.tag; None: the source")
        heads: Annotated[int, Field(ge=1)] | None = Field(
            None, description="number of attention heads; None: one per 64 channels"
        )
        input_shape: tuple[int, int, int] | None = Field(
            None, description="image size (D, H, W) of the position embedding; None: a cube, inferred from the tensors"
        )

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the checkpoint *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, is not such a transformer, or a tensor is missing or does not fit.
        """
        source = find_checkpoint(source)
        known = SOURCES[self.config.source]
        released = timm_state(found := read_state(source, PREFIXES))
        options = network_options(released, self.config.heads, self.config.input_shape)
        norm = {"norm_eps": MONAI_EPS} if MONAI_POSITIONS in found else {}
        network = zoo().backbones.build(options | norm | known["network"])
        if self.config.source == "3dino":
            released = taking_unit(released)
        tensors = shapes(named_tensors(network))
        wanted = {
            name.removeprefix("encoder."): shape for name, shape in tensors.items() if name.startswith("encoder.")
        }
        taken, rest = split(with_own_class_token(released, wanted["pos_embed"][1]), wanted)
        save_folder(
            out,
            {f"encoder.{name}": tensor for name, tensor in taken.items()},
            self._describe(network, known, license, source, rest),
            {f"{self.name}.{name}": tensor for name, tensor in rest.items()},
        )

    def _describe(
        self, network: Backbone, known: Mapping[str, Any], license: str, file: Path, rest: Mapping[str, Tensor]
    ) -> WeightsInfo:
        about = {"normalization": known["normalization"]} if known["normalization"] else {}
        return WeightsInfo(
            name=f"{network.name}.{self.config.tag or self.config.source}",
            backbone=network.spec,
            parts=("encoder",),
            input=InputSpec(
                **known["input"],
                rules=known["rules"],
                space=network.info.input_space,
                in_channels=network.info.in_channels,
                patch_size=network.config.input_shape,
            ),
            license=license,
            citations=(known["cite"],) if known["cite"] else (),
            vit3d={**origin(file, known["url"]), **about, "also_holds": summary(rest)},
        )


def taking_unit(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return *state* with a patch embedding that gives for an image x what the original gives for 2 x - 1.

    The patch embedding has no padding, so the conversion is exact.
    """
    kernel, bias = (state[f"patch_embed.proj.{part}"] for part in ("weight", "bias"))
    return {
        **state,
        "patch_embed.proj.weight": 2 * kernel,
        "patch_embed.proj.bias": bias - kernel.sum(dim=(1, 2, 3, 4)),
    }
