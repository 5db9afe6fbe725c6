"""Models trained with nnU-Net v2: folders with ``plans.json`` and checkpoints. nnU-Net is not needed to read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from umzoo import config
from umzoo.backbones.state import collapse_aliases, named_tensors, require_same, shapes
from umzoo.errors import WeightsError
from umzoo.files import read_json
from umzoo.plugins import zoo
from umzoo.spec import ComponentSpec
from umzoo.weights.folder.info import BaseModel, Provenance, WeightsInfo
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.importers.base import Importer
from umzoo.weights.importers.nnunet_input import channels_of, input_of_plan, intensities_of
from umzoo.weights.importers.pickled import read_checkpoint
from umzoo.weights.networks.nnunet_architecture import architecture_of, backbone_of_plan, configuration_of

CITATION = "Isensee et al., nnU-Net, Nature Methods 18, 2021"
_FIRST_KERNELS = ("encoder.stem.convs.0.conv.weight", "encoder.stages.0.0.convs.0.conv.weight")


class NnunetImporter(Importer):
    """nnU-Net v2's model folder TRAINER__PLANS__CONFIGURATION, trained with its residual encoder or plain U-Net.

    Tensors keep their values; the segmentation layers are not imported. Preprocessing that umzoo's input spec cannot
    describe (normalization by the statistics of a data set, or of nonzero voxels) is recorded under ``nnunet``.
    """

    name = "nnunet"

    class Config(config.Config):
        """Options of ``nnunet``."""

        fold: int | Literal["all"] | None = Field(None, description="fold to import; None: the only fold")
        checkpoint: Literal["final", "best", "latest"] = Field(
            "final", description="checkpoint of the fold to import; 'latest' exists for stopped trainings"
        )
        tag: str | None = Field(None, description="tag in the name architecture.tag; None: the data set's name")

    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read the model folder *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if a file is missing or corrupted, umzoo has no such network, or a tensor does not fit.
        """
        names, remedy = ("plans.json", "dataset.json"), "expected nnU-Net's model folder TRAINER__PLANS__CONFIGURATION"
        plans, dataset = (read_json(source / name, error=WeightsError, remedy=remedy) for name in names)
        checkpoint = read_checkpoint(self._file(source))
        configuration = configuration_of(plans, _entry(checkpoint, "init_args")["configuration"])
        state = _without_heads(_entry(checkpoint, "network_weights"))
        channels = next((state[name].shape[1] for name in _FIRST_KERNELS if name in state), 1)
        backbone = backbone_of_plan(architecture_of(configuration), channels)
        with torch.device("meta"):
            network = zoo().backbones.build(backbone)
        require_same(shapes(named_tensors(network)), shapes(state))
        save_folder(out, state, self._describe(network.spec, plans, configuration, dataset, checkpoint, license))

    def _file(self, source: Path) -> Path:
        """The requested checkpoint."""
        folds = sorted(folder.name.removeprefix("fold_") for folder in source.glob("fold_*") if folder.is_dir())
        wanted = str(self.config.fold) if self.config.fold is not None else folds[0] if len(folds) == 1 else None
        if wanted not in folds:
            choice = f"choose one of {', '.join(folds)} with fold=..." if folds else "train it first"
            raise WeightsError(f"{source} has {f'no fold {wanted}' if wanted else f'{len(folds)} folds'}: {choice}")
        file = source / f"fold_{wanted}" / f"checkpoint_{self.config.checkpoint}.pth"
        if not file.is_file():
            known = ", ".join(sorted(path.name for path in file.parent.glob("*.pth"))) or "no checkpoint"
            raise WeightsError(f"checkpoint {file} does not exist: the fold has {known}")
        return file

    def _describe(
        self,
        backbone: ComponentSpec,
        plans: Mapping[str, Any],
        configuration: Mapping[str, Any],
        dataset: Mapping[str, Any],
        checkpoint: Mapping[str, Any],
        license: str,
    ) -> WeightsInfo:
        name = str(plans.get("dataset_name", "dataset"))
        cases = int(dataset.get("numTraining", 0))
        arguments, base = checkpoint["init_args"], _base_model(plans)
        inherited = license in ("", "unknown") and base is not None and base.license
        return WeightsInfo(
            name=f"{backbone.name}.{self.config.tag or name.partition('_')[2].lower() or name.lower()}",
            backbone=backbone,
            input=input_of_plan(plans, configuration, dataset, backbone.options["in_channels"]),
            provenance=Provenance.parse(
                {
                    "datasets": {name: cases},
                    "volumes": cases,
                    "metrics": _metrics(checkpoint),
                    "epochs": int(checkpoint.get("current_epoch", 0)),
                }
            ),
            base_model=base,
            license=base.license if inherited and base else license,
            license_link=base.license_link if inherited and base else "",
            citations=(CITATION,),
            nnunet={
                "plans": plans.get("plans_name"),
                "configuration": arguments["configuration"],
                "trainer": checkpoint.get("trainer_name"),
                "fold": arguments.get("fold"),
                "checkpoint": self.config.checkpoint,
                "labels": dataset.get("labels"),
                "reader": plans.get("image_reader_writer"),
                "transpose_forward": plans.get("transpose_forward"),
                "channels": channels_of(dataset),
                "normalization_schemes": configuration.get("normalization_schemes"),
                "use_mask_for_norm": configuration.get("use_mask_for_norm"),
                "foreground_intensity_properties_per_channel": intensities_of(plans),
            },
        )


def _without_heads(state: Mapping[str, Any]) -> dict[str, Tensor]:
    tensors = collapse_aliases(state)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("decoder.seg_layers.")}


def _base_model(plans: Mapping[str, Any]) -> BaseModel | None:
    """The base model, which umzoo's nnU-Net trainer records in the plans; a local path is omitted."""
    known = (plans.get("umzoo") or {}).get("weights")
    if not known:
        return None
    place = {"repository": known["reference"], "revision": known["revision"]} if known.get("revision") else {}
    terms = {key: known.get(key) or "" for key in ("sha256", "license", "license_link")}
    return BaseModel.parse({"name": known["name"], **terms, **place})


def _metrics(checkpoint: Mapping[str, Any]) -> dict[str, float]:
    best = checkpoint.get("_best_ema")
    return {} if best is None else {"best_ema_pseudo_dice": float(best)}


def _entry(checkpoint: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = checkpoint.get(name)
    if not isinstance(value, Mapping):
        raise WeightsError(f"the checkpoint has no '{name}': it was not written by nnU-Net v2")
    return dict(value)
