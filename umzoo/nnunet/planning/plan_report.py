"""Tables and text on proposed plans: the source of each setting, transfer from the weights, and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from umzoo.nnunet.environment import dataset_number
from umzoo.nnunet.planning.architecture_fit import Candidate
from umzoo.nnunet.planning.planner import Proposal
from umzoo.spec import InputSpec

if TYPE_CHECKING:
    from rich.table import Table


def choices_table(proposal: Proposal) -> Table:
    """Return one row for each setting: nnU-Net's value, the weights' value, the chosen value, and its consequence."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    title = f"{proposal.name}, {proposal.choices.configuration}"
    table = Table(
        "", "nnU-Net", "weights", "taken", "what it means", title=title, title_justify="left", box=SIMPLE_HEAD
    )
    for row in _rows(proposal):
        table.add_row(*row)
    return table


def networks_table(proposal: Proposal) -> Table:
    """Return one row for each candidate network: transfer from the weights, memory and batch size."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=f"from {proposal.info.name}", title_justify="left", box=SIMPLE_HEAD)
    for column in ("network", "stages", "patch", "encoder", "decoder", "batch", "memory", ""):
        table.add_column(column, justify="left" if column in ("network", "") else "right")
    for it in proposal.candidates:
        decoder = it.report.decoder_coverage or 0.0
        shares = (f"{it.report.coverage:.1%}", f"{decoder:.1%}")
        taken = "taken" if it is proposal.taken else ""
        cost = (str(it.batch_size), f"{it.memory:.1f} GB")
        table.add_row(it.title, str(it.stages), by(it.patch), *shares, *cost, taken)
    return table


def commands(proposal: Proposal, reference: str) -> list[str]:
    """Return the commands to run next."""
    dataset = str(proposal.plans["dataset_name"])
    number, configuration = dataset_number(dataset), proposal.choices.configuration
    preprocess = f"nnUNetv2_preprocess -d {number} -plans_name {proposal.name} -c {configuration} -np 4"
    train = f"umzoo nnunet train {number} {configuration} 0 -p {proposal.name} --weights {reference}"
    return [train] if proposal.preprocessed else [preprocess, train]


def by(values: Any) -> str:
    """Return *values* as ``1x2x3``."""
    return "x".join(f"{float(value):.4g}" for value in values)


def _rows(proposal: Proposal) -> Iterator[tuple[str, ...]]:
    own, taken, spec = proposal.own_settings, proposal.settings, proposal.info.input
    first, last = proposal.candidates[0], proposal.taken
    yield (
        "spacing (mm)",
        by(own["spacing"]),
        "native" if spec.spacing is None else by(spec.spacing),
        by(taken["spacing"]),
        _spacing_note(own, taken, spec),
    )
    yield (
        "normalization",
        _schemes(own),
        _rule(spec),
        _schemes(taken),
        "the nearest that nnU-Net has; it does not clip like the weights' rule"
        if proposal.choices.normalization == "weights"
        else "as nnU-Net",
    )
    yield (
        "patch",
        by(own["patch_size"]),
        "any" if spec.patch_size is None else by(spec.patch_size),
        by(last.patch),
        _patch_note(proposal),
    )
    yield "stages", str(first.stages), str(_stages(proposal)), str(last.stages), _stages_note(first, last)
    weights = proposal.candidates[2]
    for name in ("features_per_stage", "kernel_sizes", "strides"):
        label = name.partition("_per")[0].replace("_sizes", "s")
        values = [_counted(it.architecture["arch_kwargs"][name]) for it in (first, weights, last)]
        yield label, *values, _kernels_note(last) if label == "kernels" else ""
    yield (
        "batch size",
        str(own["batch_size"]),
        "",
        str(last.batch_size),
        f"about {last.memory:.1f} GB by nnU-Net's estimate; {proposal.own.planner_name} plans for"
        f" {proposal.own.budget:g} GB",
    )
    yield "data", str(own["data_identifier"]), "", str(taken["data_identifier"]), _data_note(proposal)


def _stages(proposal: Proposal) -> int:
    from umzoo.weights.networks.nnunet_architecture import unet_options

    return len(unet_options(proposal.info.backbone).stage_features)


def _spacing_note(own: Mapping[str, Any], taken: Mapping[str, Any], spec: InputSpec) -> str:
    if by(own["spacing"]) != by(taken["spacing"]):
        before, after = own["median_image_size_in_voxels"], taken["median_image_size_in_voxels"]
        return f"images of {by(before)} become {by(after)} voxels"
    if spec.spacing is None or by(own["spacing"]) == by(spec.spacing):
        return ""
    return "the weights' kernels see structures at another scale than in pre-training"


def _patch_note(proposal: Proposal) -> str:
    if proposal.taken.patch != proposal.candidates[1].patch:
        return "enlarged to a multiple of the weights' strides"
    if proposal.choices.patch == "weights":
        return "as the weights, enlarged to a multiple of nnU-Net's strides for it"
    same = by(proposal.taken.patch) == by(proposal.own_settings["patch_size"])
    return "as nnU-Net" if same else "as nnU-Net at this spacing"


def _stages_note(own: Candidate, taken: Candidate) -> str:
    if taken.stages == own.stages:
        return ""
    change = "left out" if taken.stages < own.stages else "more"
    return (
        f"{abs(own.stages - taken.stages)} {change}: the coarsest map of a patch has {by(taken.coarsest)} voxels,"
        f" not {by(own.coarsest)}, and the network sees less of its surroundings"
    )


def _kernels_note(taken: Candidate) -> str:
    summed = sum(note.startswith("kernel ") for note in taken.report.adapted.values())
    return f"{summed} kernels of the weights are summed over flat axes" if summed else ""


def _data_note(proposal: Proposal) -> str:
    same = proposal.settings["data_identifier"] == proposal.own_settings["data_identifier"]
    if proposal.preprocessed:
        return "preprocessed already" if same else "preprocessed already, under a name of its own"
    return "to be preprocessed" if same else "to be preprocessed again, under a name of its own"


def _schemes(settings: Mapping[str, Any]) -> str:
    names = [str(it).replace("Normalization", "") for it in settings["normalization_schemes"]]
    masked = [name + " (nonzero)" * bool(mask) for name, mask in zip(names, settings["use_mask_for_norm"], strict=True)]
    return _counted(masked)


def _rule(spec: InputSpec) -> str:
    rules = (f"{name} {rule.kind} {rule.window or rule.percentiles}" for name, rule in spec.rules.items())
    return f"{'; '.join(rules)}, then {'z-score' if spec.space == 'zscore' else '0 to 1'}"


def _counted(values: Any) -> str:
    """Format *values*, with runs of equal values as one value and a count."""
    texts = [by(value) if isinstance(value, (list, tuple)) else str(value) for value in values]
    runs = [(text, len(list(group))) for text, group in groupby(texts)]
    return ", ".join(f"{text} ({count}x)" if count > 1 else text for text, count in runs)
