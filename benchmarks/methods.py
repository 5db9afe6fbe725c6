"""Runs every pretext task on one backbone of each family for two steps and writes docs/methods.md.

``python benchmarks/methods.py`` (CPU, a few minutes); ``--task NAME`` for some tasks only, the rows of others are kept.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from dynamic_network_architectures.architectures.primus import Primus
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from learning import section
from torch import nn

import umzoo
from umzoo.data.phantoms.files import write_phantoms
from umzoo.data.preparing.prepare import prepare
from umzoo.engine.export import export_run
from umzoo.engine.recipe import Recipe
from umzoo.engine.run import Run
from umzoo.engine.trainer import Trainer
from umzoo.errors import UmzooError
from umzoo.plugins import zoo
from umzoo.testing import SMALL_NETWORKS
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.transfer import TransferReport, transfer

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
SIZE = (32, 32, 32)
SWIN = {"feature_size": 12, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 2), "window_size": 2}
BACKBONES: dict[str, dict[str, Any]] = {
    **SMALL_NETWORKS,
    "resnet3d_10": {"width": 4},
    "swin_unetr": SWIN,
    "swin_vit": SWIN,
    "unetr": {"feature_size": 4, "hidden_size": 24, "mlp_dim": 32, "num_heads": 2},
    "timm": {"model": "test_resnet", "decoder_channels": 8},
}
WIDE = ("swin_unetr", "swin_vit", "timm")
"""Networks of stride 32, which need patches of 64 voxels."""
VARIANTS: dict[str, list[dict[str, Any]]] = {"mae": [{"mode": "dense"}, {"mode": "tokens"}, {"mode": "sparse"}]}

INTRODUCTION = """\
# Methods

<!-- Written by benchmarks/methods.py, which runs all of this: change that, then run it. -->

Every registered pretext task on one backbone of each family, at tiny sizes (patches of {size}, twice that
where the strides require it, batches of two, phantoms of CT and MR), for two steps on the CPU: {good} of {total} pairs
work; the table gives the reason for the others. It shows which pairs run and which networks take their weights, not
how well a method pre-trains. [Below](#do-they-learn), the page shows whether the tasks are learned.

- *starts*: the recipe is accepted and everything is built. *trains*: the losses of the two steps.
- *exports*: parts of the network in the weights folder. A task that does not train the decoder exports the encoder
  alone.
- *transfers*: share of the kernels of a fresh network of the same kind that `umzoo.transfer` sets, encoder / decoder.
- *nnU-Net*: the same for the networks that nnU-Net builds with `dynamic_network_architectures` (`PlainConvUNet`,
  `ResidualEncoderUNet`, `Primus`). n/a: nnU-Net has no such network.

| pretext task | backbone | starts | trains | exports | transfers | nnU-Net |
| --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass
class Outcome:
    """One pair. Each column is filled when its stage is reached; the first stage that fails holds the reason."""

    task: str
    backbone: str
    starts: str = ""
    trains: str = ""
    exports: str = ""
    transfers: str = ""
    nnunet: str = ""

    @property
    def works(self) -> bool:
        """Whether the last stage was reached."""
        return bool(self.nnunet)


def run_pair(spec: dict[str, Any], backbone: str, store: Path, folder: Path) -> Outcome:
    """Train two steps, export and transfer."""
    options = " ".join(f"{key}={value}" for key, value in spec.items() if key not in ("name", "teacher"))
    outcome = Outcome(f"`{spec['name']}`" + (f" {options}" if options else ""), f"`{backbone}`")
    stage = "starts"
    try:
        trainer = Trainer(Run(folder / "run", _recipe(spec, backbone), store), cpu=True)
        outcome.starts, stage = "yes", "trains"
        trainer.fit()
        outcome.trains, stage = _losses(trainer), "exports"
        info = export_run(trainer.run, folder / "weights")
        outcome.exports, stage = " + ".join(info.parts), "transfers"
        outcome.transfers = _coverage(transfer(folder / "weights", zoo().backbones.build(info.backbone)), info)
        stage = "nnunet"
        network = _nnunet(backbone)
        outcome.nnunet = "n/a" if network is None else _coverage(transfer(folder / "weights", network), info)
    except UmzooError as error:
        setattr(outcome, stage, f"no: {error}")
    return outcome


def _recipe(spec: dict[str, Any], backbone: str) -> Recipe:
    return Recipe.parse(
        {
            "backbone": {"name": backbone, **BACKBONES[backbone]},
            "pretext": {"tasks": [spec], "corruptions": [{"name": "paint"}]},
            "data": {"patch_size": _patch(backbone), "batch_size": 2, "workers": 0, "scales": (0.5, 0.75, 1.0)},
            "trainer": {"steps": 2, "log_every": 1, "probe_volumes": 4},
        }
    )


def _patch(backbone: str) -> tuple[int, ...]:
    return tuple(edge * (2 if backbone in WIDE else 1) for edge in SIZE)


def _losses(trainer: Trainer) -> str:
    from umzoo.engine.log import read_metrics

    lines = read_metrics(trainer.run.folder / "metrics.jsonl")
    return ", ".join(f"{line['loss']:.3f}" for line in lines if "loss" in line)


def _coverage(report: TransferReport, info: WeightsInfo) -> str:
    shares = {"encoder": report.coverage, "decoder": report.decoder_coverage}
    return " / ".join(f"{shares[part]:.0%}" for part in info.parts)


def _nnunet(backbone: str) -> nn.Module | None:
    """The network that nnU-Net builds in the sizes of *backbone*."""
    kinds = {
        "plainconv_unet": (PlainConvUNet, "n_conv_per_stage", 2),
        "resenc_unet_s": (ResidualEncoderUNet, "n_blocks_per_stage", 1),
    }
    if backbone == "primus_s":
        return Primus(1, 36, (8, 8, 8), 3, 2, 3, input_shape=SIZE, init_values=0.1, scale_attn_inner=True)
    if backbone not in kinds:
        return None
    kind, blocks, count = kinds[backbone]
    network: nn.Module = kind(
        input_channels=1, n_stages=3, features_per_stage=SMALL_NETWORKS[backbone]["features_per_stage"],
        conv_op=nn.Conv3d, kernel_sizes=3, strides=(1, 2, 2),
        num_classes=3, n_conv_per_stage_decoder=2 if backbone == "plainconv_unet" else 1, conv_bias=True,
        norm_op=nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True}, deep_supervision=True, **{blocks: count},
    )  # fmt: skip
    return network


def run_all(tasks: list[str]) -> Iterator[Outcome]:
    """Run *tasks* on all backbones, over one store of phantoms."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_phantoms(folder / "scans", ct=2, mr=2, size=(64, 64, 64))
        prepare([folder / "scans"], folder / "store", modality=("ct=*/ct/*", "mr=*/mr/*"), workers=0)
        teacher = umzoo.create_model("resenc_unet_s", **BACKBONES["resenc_unet_s"])
        umzoo.save_pretrained(teacher, folder / "teacher")
        variants = {**VARIANTS, "distillation": [{"teacher": str(folder / "teacher")}]}
        for task in tasks:
            for number, options in enumerate(variants.get(task, [{}])):
                for backbone in BACKBONES:
                    pair = folder / f"{task}-{number}-{backbone}"
                    yield run_pair({"name": task, **options}, backbone, folder / "store", pair)


def row_of(outcome: Outcome) -> str:
    """Return a row of the table."""
    return "| " + " | ".join(getattr(outcome, field.name) for field in fields(outcome)) + " |"


def kept_rows(tasks: list[str]) -> list[str]:
    """Return the rows of the page's first table for registered tasks other than *tasks*."""
    others = tuple(f"| `{name}`" for name in zoo().pretext_tasks if name not in tasks)
    table = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith(others)]


def render(rows: list[str]) -> str:
    """Return the page, with *rows* in the order of their tasks."""
    good = sum(bool(row.split(" | ")[-1].strip(" |")) for row in rows)
    head = INTRODUCTION.format(size=" x ".join(map(str, SIZE)), good=good, total=len(rows))
    return head + "".join(f"{row}\n" for row in sorted(rows, key=lambda row: row.split("`")[1]))


def main() -> None:
    """Run the matrix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", action="append", help="a pretext task; may be given again")
    chosen = parser.parse_args().task
    torch.set_num_threads(1)
    tasks = chosen or list(zoo().pretext_tasks)
    rows = kept_rows(tasks)
    for outcome in run_all(tasks):
        rows.append(row_of(outcome))
        print(rows[-1], flush=True)
    PAGE.write_text(f"{render(rows)}\n{section()}", encoding="utf-8")


if __name__ == "__main__":
    main()
