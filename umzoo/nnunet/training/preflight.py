"""Transfer of weights to a planned network: checked before training, and applied when training starts."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from umzoo.errors import DataError, WeightsError
from umzoo.hub.pulling.references import parse, resolve
from umzoo.nnunet.environment import dataset_number
from umzoo.nnunet.planning.configuration import Planned
from umzoo.nnunet.training.plans_entry import PlansEntry, WeightsEntry
from umzoo.nnunet.training.weights_location import read_where, where_file
from umzoo.weights.folder.base_model import origin
from umzoo.weights.folder.reader import MODEL, read_info
from umzoo.weights.transfer import Plan, TransferReport, TransferRules, plan_transfer
from umzoo.weights.transfer.source_and_target import Side, network_side
from umzoo.weights.transfer.tensor_roles import TITLES


def locate(reference: str, revision: str | None = None) -> tuple[Path, WeightsEntry]:
    """Return the folder of the weights *reference*, and an entry that identifies exactly these weights.

    Raises:
        WeightsError: if the weights cannot be found or downloaded.
    """
    folder = resolve(reference, revision)
    info = read_info(folder)
    known = origin(folder, info)
    listed = parse(reference, revision).entry
    return folder, WeightsEntry(
        reference=known.repository or (listed.name if listed else ""),
        revision=known.revision or (revision if listed else None),
        name=info.name,
        sha256=info.files.get(MODEL),
        license=info.license,
        license_link=info.license_link,
    )


def preflight(planned: Planned, folder: Path, rules: TransferRules, data: Path | None = None) -> TransferReport:
    """Return the report of a transfer from the weights in *folder* to *planned*'s network, without allocating it.

    Args:
        planned: configuration with the network.
        folder: weights folder.
        rules: rules of the transfer.
        data: nnU-Net's folder of the data set; with it, error messages give the commands to plan again.

    Raises:
        WeightsError: if the weights cannot be read, are of another family, or cover too little of the network.
    """
    info = read_info(folder)
    plan = plan_transfer(folder, planned.build_without_memory(), rules, planned.input(info.input))
    if data is not None and plan.target.layout.family != plan.source.layout.family:
        raise WeightsError(_replan(plan, planned, data))
    plan.check()
    return planned.with_normalization(plan.report)


def initialize(network: nn.Module, planned: Planned, entry: PlansEntry, data: Path | None = None) -> TransferReport:
    """Load the weights of *entry* into *network*, which may be wrapped, in place; return the report.

    Args:
        network: network built by nnU-Net.
        planned: configuration of the network.
        entry: umzoo's entry in the plans.
        data: nnU-Net's folder of the data set, which holds the location of the weights.

    Raises:
        WeightsError: if the weights are missing, altered, or do not fit; then the network is unchanged.
    """
    if entry.weights is None:
        return Plan(Side("no weights", {}), network_side(network), entry.rules).report
    reference = entry.weights.reference or _noted(planned, data)
    folder, found = locate(reference, entry.weights.revision)
    if found.sha256 != entry.weights.sha256:
        raise WeightsError(
            f"the weights {reference} have changed since '{planned.name}' was made"
            f" (sha256 {entry.weights.sha256}, now {found.sha256}): restore the old ones, or start again with --name"
        )
    plan = plan_transfer(folder, network, entry.rules, planned.input(read_info(folder).input))
    plan.check()
    return planned.with_normalization(plan.apply())


def _noted(planned: Planned, data: Path | None) -> str:
    """Return the folder of the weights of *planned*, as stored when the plans were derived."""
    file = (data or Path()) / f"{planned.name}.json"
    if data is None or (where := read_where(file)) is None:
        raise WeightsError(
            f"{where_file(file)} is missing, which holds the location of the weights of '{planned.name}':"
            " start again with 'umzoo nnunet train --weights'"
        )
    return where.folder


def require_data(planned: Planned, folder: Path) -> None:
    """Check that *folder* holds the preprocessed data of *planned*.

    Raises:
        DataError: if not; the message gives the command.
    """
    if not (folder / planned.settings.data_identifier).is_dir():
        raise DataError(
            f"the data is not preprocessed for {planned.name} {planned.configuration}: run"
            f" 'nnUNetv2_preprocess -d {dataset_number(folder.name)} -plans_name {planned.name}"
            f" -c {planned.configuration}'"
        )


def _replan(plan: Plan, planned: Planned, data: Path) -> str:
    """Return a message that the weights do not suit the plans, with the commands that make suitable plans."""
    ours, theirs = plan.source.layout, plan.target.layout
    message = (
        f"the weights ({plan.source.name}) are of a {TITLES[ours.family]}, {planned.configuration} of {planned.name}"
        f" is a {TITLES[theirs.family]}: they would cover {plan.report.coverage:.1%} of its encoder. "
    )
    planner, plans = _PLANNERS.get(ours.family, ("", ""))
    if not planner:
        return message + "nnU-Net plans no such network: use weights of a U-Net"
    if (data / f"{plans}.json").is_file():
        return message + f"Train with plans of that kind: -p {plans}"
    command = f"nnUNetv2_plan_experiment -d {dataset_number(data.name)} -pl {planner}"
    return message + f"Plan such a network with '{command}' and train with -p {plans}, or see 'umzoo nnunet plan'"


_PLANNERS = {
    "resenc": ("nnUNetPlannerResEncM", "nnUNetResEncUNetMPlans"),
    "plainconv": ("ExperimentPlanner", "nnUNetPlans"),
}
