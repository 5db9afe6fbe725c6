"""Checkpoints of nnssl (https://github.com/MIC-DKFZ/nnssl): the OpenMind models and those of the SSL3D challenge."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.backbones.state import named_tensors, shapes
from umzoo.plugins import zoo
from umzoo.spec import ComponentSpec
from umzoo.weights.folder.info import Provenance, WeightsInfo
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.importers.base import Importer
from umzoo.weights.importers.checkpoint import origin, split, summary
from umzoo.weights.importers.nnssl_files import Release, read_release
from umzoo.weights.importers.nnssl_network import find_backbone, token_grid
from umzoo.weights.importers.nnunet_input import input_of_plan
from umzoo.weights.importers.token_order import in_axis_order
from umzoo.weights.transfer.rules import TokenOrder

log = logging.getLogger(__name__)

URL = "https://github.com/MIC-DKFZ/nnssl"
CITATION = "Wald et al., An OpenMind for 3D medical vision self-supervised learning, ICCV 2025"
Voxels = Annotated[int, Field(ge=1)]


class NnsslImporter(Importer):
    """nnssl's ResEnc-L and Primus: a .pth file, or its folder, with or without an adaptation plan.

    The encoder becomes the backbone, with the decoder if it is that of nnU-Net's U-Net. All other tensors (decoders
    and heads of the pretext task) go to ``pretext.safetensors`` under ``nnssl.*``. Tensors keep their values, except
    that a Primus with token order (h, d, w) is converted to an equivalent one in the order of the axes, see
    :mod:`umzoo.weights.importers.token_order`. Paths, subjects and settings in a checkpoint are not kept, except for
    the names of data set, plans, configuration and trainer.
    """

    name = "nnssl"

    class Config(config.Config):
        """Options of ``nnssl``."""

        tag: str | None = Field(None, description="tag in the name architecture.tag; None: data set and method")
        architecture: Literal["ResEncL", "NoSkipResEncL", "PrimusS", "PrimusB", "PrimusM", "PrimusL"] | None = Field(
            None, description="network of a file without a plan; None: inferred from its tensors"
        )
        patch_size: tuple[Voxels, Voxels, Voxels] | None = Field(
            None, description="patch size (D, H, W) of training; None: from the plan, or a cube"
        )
        token_order: TokenOrder | None = Field(
            None, description="token order of a Primus; None: nnssl's, which is dhw for SimMIM and hdw otherwise"
        )

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the checkpoint or folder *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if it cannot be read, umzoo has no such network, or a tensor is missing or does not fit.
        """
        release = read_release(source)
        backbone = find_backbone(release, self.config.architecture, self.config.patch_size)
        with torch.device("meta"):
            network = zoo().backbones.build(backbone)
        theirs = {_their_name(name): name for name in named_tensors(network)}
        wanted = {_their_name(name): shape for name, shape in shapes(named_tensors(network)).items()}
        decoder = {name: shape for name, shape in wanted.items() if theirs[name].startswith("decoder.")}
        whole = decoder.items() <= shapes(release.tensors).items()
        parts = ("encoder", "decoder") if whole else ("encoder",)
        wanted = wanted if whole else {name: shape for name, shape in wanted.items() if name not in decoder}
        taken, rest = split(release.tensors, wanted)
        state = {theirs[name]: tensor for name, tensor in taken.items()}
        order = self._order(release, network)
        if order != "dhw":
            state = in_axis_order(state, token_grid(backbone), network.config.heads, order)
            log.info("token order is %s: position embedding, queries and keys were reordered to dhw", order)
        info = self._describe(release, network.spec, parts, license, order, rest)
        save_folder(out, state, info, {f"nnssl.{name}": tensor for name, tensor in rest.items()})

    def _order(self, release: Release, network: Any) -> TokenOrder:
        """Order of the tokens; U-Nets have none."""
        if not network.name.startswith("primus"):
            return "dhw"
        order: TokenOrder = self.config.token_order or ("dhw" if release.method == "simmim" else "hdw")
        return order

    def _describe(
        self,
        release: Release,
        backbone: ComponentSpec,
        parts: tuple[str, ...],
        license: str,
        order: TokenOrder,
        rest: Mapping[str, Tensor],
    ) -> WeightsInfo:
        plan, configuration = release.plan.get("pretrain_plan") or {}, release.configuration
        patch = self.config.patch_size or backbone.options.get("input_shape") or configuration.get("patch_size")
        seen = {**configuration, "patch_size": patch, "normalization_schemes": _schemes(configuration)}
        tag = self.config.tag or "_".join(filter(None, (release.dataset.lower(), release.method)))
        return WeightsInfo(
            name=f"{backbone.name}.{tag}",
            backbone=backbone,
            parts=parts,
            input=input_of_plan(plan, seen, {}, backbone.options["in_channels"]),
            provenance=Provenance.parse({"epochs": release.epochs} if release.epochs else {}),
            license=license,
            citations=release.citations or (CITATION,),
            nnssl={
                **origin(release.file, URL),
                "method": release.method,
                "trainer": release.trainer,
                "dataset": release.dataset,
                "plans": plan.get("plans_name"),
                "normalization_schemes": _schemes(configuration),
                "recommended_downstream_patchsize": release.plan.get("recommended_downstream_patchsize"),
                "token_order": order,
                "also_holds": summary(rest),
            },
        )


def _their_name(name: str) -> str:
    """nnssl's name of tensor *name*; names in U-Nets are the same."""
    head, _, rest = name.partition(".")
    return rest if rest.startswith(("eva.", "down_projection.", "up_projection.")) else f"{head}.{rest}"


def _schemes(configuration: Mapping[str, Any]) -> list[str]:
    return [str(scheme) for scheme in configuration.get("normalization_schemes") or ("ZScoreNormalization",)]
