"""``umzoo nnunet plan`` and ``umzoo nnunet convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from umzoo.cli.output import say

if TYPE_CHECKING:
    from umzoo.nnunet.planning.configuration import Planned


def plan(
    dataset: Annotated[str, typer.Argument(help="number or full name of a data set with a fingerprint")],
    weights: Annotated[str, typer.Option(help="weights folder or reference")],
    preset: Annotated[str, typer.Option(help="memory that nnU-Net's ResEnc planner fills: M 8, L 24, XL 40 GB")] = "M",
    configuration: Annotated[str, typer.Option("--configuration", "-c", help="configuration to plan")] = "3d_fullres",
    spacing: Annotated[str, typer.Option(help="whose spacing: nnunet or weights")] = "nnunet",
    normalization: Annotated[str, typer.Option(help="whose normalization: nnunet or weights")] = "nnunet",
    patch: Annotated[str, typer.Option(help="whose patch size: nnunet or weights")] = "nnunet",
    kernels: Annotated[str, typer.Option(help="whose kernels and strides: nnunet or weights")] = "nnunet",
    batch_size: Annotated[int | None, typer.Option(help="patches per step; by default nnU-Net's rule")] = None,
    name: Annotated[str | None, typer.Option(help="name of the plans; by default from weights and choices")] = None,
) -> None:
    """Plan a network that takes as much as possible from the weights, and show the cost of each choice."""
    from umzoo.hub.pulling.references import resolve
    from umzoo.nnunet.planning.plan_report import choices_table, commands, networks_table
    from umzoo.nnunet.planning.planner import Choices, propose
    from umzoo.terminal import Terminal

    values: dict[str, Any] = {"preset": preset, "configuration": configuration, "spacing": spacing}
    values |= {"normalization": normalization, "patch": patch, "kernels": kernels, "batch_size": batch_size}
    proposal = propose(dataset, resolve(weights), Choices.parse(values), name)
    proposal.write()
    Terminal().print(choices_table(proposal), networks_table(proposal))
    say(f"wrote {proposal.file}\nnext:")
    for command in commands(proposal, weights):
        say(f"  {command}")


def convert(
    weights: Annotated[str, typer.Argument(help="weights folder or reference")],
    out: Annotated[Path | None, typer.Argument(help="file to write, for nnUNetv2_train -pretrained_weights")] = None,
    plans: Annotated[str | None, typer.Option(help="plans of the target network: a file, or a name")] = None,
    dataset: Annotated[str | None, typer.Option(help="data set of plans that are given by name")] = None,
    configuration: Annotated[
        str, typer.Option("--configuration", "-c", help="configuration of the plans")
    ] = "3d_fullres",
    minimum: Annotated[float, typer.Option(help="minimum share of the encoder's kernels that must fit")] = 0.5,
    nnssl: Annotated[Path | None, typer.Option(help="folder to write instead, in nnssl's format")] = None,
) -> None:
    """Write weights as files for nnU-Net's own commands."""
    from umzoo.errors import ConfigError
    from umzoo.hub.pulling.references import resolve
    from umzoo.terminal import Terminal

    if (out is None) == (nnssl is None):
        raise ConfigError("give either OUT.pth, or --nnssl FOLDER")
    if nnssl is not None:
        from umzoo.nnunet.files.nnssl_checkpoint import export_nnssl

        if plans or dataset:
            raise ConfigError("--nnssl holds the network of the weights: leave --plans and --dataset out")
        export_nnssl(resolve(weights), nnssl)
        say(f"wrote {nnssl}: give its checkpoint_final.pth to nnUNetv2_preprocess_like_nnssl -pc")
    elif out is not None:
        from umzoo.nnunet.files.nnunet_checkpoint import convert as write

        Terminal().print(write(resolve(weights), out, _planned(plans, dataset, configuration), {"minimum": minimum}))
        say(f"wrote {out}: nnUNetv2_train ... -pretrained_weights {out}")


def _planned(plans: str | None, dataset: str | None, configuration: str) -> Planned | None:
    from umzoo.errors import ConfigError
    from umzoo.nnunet.environment import preprocessed_folder, require_nnunet
    from umzoo.nnunet.files.nnunet_checkpoint import planned_in
    from umzoo.nnunet.planning.configuration import read_planned

    if plans is None:
        if dataset is not None:
            raise ConfigError("--dataset goes with --plans NAME")
        return None
    require_nnunet()
    if Path(plans).is_file():
        return planned_in(Path(plans), configuration)
    if dataset is None:
        raise ConfigError(f"there is no file {plans}; if it is the name of plans, give --dataset")
    return read_planned(preprocessed_folder(dataset), plans, configuration)
