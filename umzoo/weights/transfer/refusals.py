"""Refuses transfers that would leave the encoder untrained, and gives a remedy."""

from __future__ import annotations

from umzoo.weights.transfer.report import TransferReport, percent
from umzoo.weights.transfer.source_and_target import Side
from umzoo.weights.transfer.tensor_roles import TITLES

_REMEDIES = {
    ("resenc", "plainconv"): (
        "plan a residual encoder with 'nnUNetv2_plan_experiment -d DATASET -pl nnUNetPlannerResEncM' (or L, XL)"
        " and use its plans, or build a resenc_unet"
    ),
    ("plainconv", "resenc"): "use nnU-Net's default plans (-p nnUNetPlans), or build a plainconv_unet",
}


def refusal(report: TransferReport, source: Side, target: Side) -> str | None:
    """Return why the transfer is refused and what to do; None if it is accepted."""
    ours, theirs = source.layout.family, target.layout.family
    if not any(record.part == "encoder" for record in report.tensors):
        return (
            f"{target.name} has no tensors under 'encoder.': pass a backbone, a model that contains one,"
            " or one of nnU-Net's networks"
        )
    if not any(source.layout.slot(name).part == "encoder" for name in source.tensors):
        names = ", ".join(list(source.tensors)[:4])
        return (
            f"{source.name} has no tensors under 'encoder.' and is not a network that umzoo knows: it has {names}, ...;"
            " rename the tensors, or import the file with 'umzoo import'"
        )
    shares = f"{percent(report.coverage)} of the encoder's kernels"
    if report.decoder_coverage is not None:
        shares += f" and {percent(report.decoder_coverage)} of the decoder's"
    if ours != theirs:
        remedy = _REMEDIES.get((ours, theirs), f"use a network of that architecture, or weights of a {TITLES[theirs]}")
        return (
            f"the weights ({source.name}) are of a {TITLES[ours]}, but the target ({target.name}) is a"
            f" {TITLES[theirs]}; {shares} would fit: {remedy}"
        )
    if report.coverage < report.rules.minimum or report.coverage == 0:
        return (
            f"only {shares} of {target.name} would come from {source.name}, but at least"
            f" {report.rules.minimum:.0%} of the encoder's are required; {_why(report)}{_lower(report)}"
        )
    return None


def _why(report: TransferReport) -> str:
    """The reason that leaves the largest part of the encoder fresh."""
    reasons: dict[str, int] = {}
    for record in report.of("fresh").values():
        if record.part == "encoder" and record.kernel:
            reasons[record.note] = reasons.get(record.note, 0) + record.values
    if not reasons:
        return "the target's encoder has no kernels"
    note = max(reasons, key=lambda reason: reasons[reason])
    name = next(name for name, record in report.of("fresh").items() if record.note == note)
    return f"main reason: {name}: {note}"


def _lower(report: TransferReport) -> str:
    """A remedy if some of the encoder fits."""
    return "; use a network closer to that of the weights, or lower 'minimum'" if report.coverage else ""
