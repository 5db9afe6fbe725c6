"""Transfers that would leave the encoder untrained are refused, with the way out."""

from __future__ import annotations

from umzoo.weights.transfer.report import TransferReport, percent
from umzoo.weights.transfer.source_and_target import Side
from umzoo.weights.transfer.tensor_roles import TITLES

_REMEDIES = {
    ("resenc", "plainconv"): (
        "plan a residual encoder with 'nnUNetv2_plan_experiment -d DATASET -pl nnUNetPlannerResEncM' (or L, XL)"
        " and take its plans, or build a resenc_unet"
    ),
    ("plainconv", "resenc"): "take nnU-Net's default plans (-p nnUNetPlans), or build a plainconv_unet",
}


def refusal(report: TransferReport, source: Side, target: Side) -> str | None:
    """Return why *report* is not good enough and what to do, or None."""
    ours, theirs = source.layout.family, target.layout.family
    if not any(record.part == "encoder" for record in report.tensors):
        return (
            f"{target.name} has no tensors under 'encoder.': pass a backbone, a model around one,"
            " or one of nnU-Net's networks"
        )
    if not any(source.layout.slot(name).part == "encoder" for name in source.tensors):
        names = ", ".join(list(source.tensors)[:4])
        return (
            f"{source.name} has no tensors under 'encoder.', and of no network that umzoo knows: it has {names}, ...;"
            " rename them, or 'umzoo import' the file"
        )
    shares = f"{percent(report.coverage)} of the encoder's kernels"
    if report.decoder_coverage is not None:
        shares += f" and {percent(report.decoder_coverage)} of the decoder's"
    if ours != theirs:
        remedy = _REMEDIES.get((ours, theirs), f"take a network like that, or weights of a {TITLES[theirs]}")
        return (
            f"the weights ({source.name}) are of a {TITLES[ours]}, the target ({target.name}) is a {TITLES[theirs]},"
            f" of which {shares} would fit: {remedy}"
        )
    if report.coverage < report.rules.minimum or report.coverage == 0:
        return (
            f"only {shares} of {target.name} would come from {source.name}, and {report.rules.minimum:.0%} of the"
            f" encoder's are asked for; {_why(report)}{_lower(report)}"
        )
    return None


def _why(report: TransferReport) -> str:
    """The reason that leaves the most of the encoder fresh."""
    reasons: dict[str, int] = {}
    for record in report.of("fresh").values():
        if record.part == "encoder" and record.kernel:
            reasons[record.note] = reasons.get(record.note, 0) + record.values
    if not reasons:
        return "its encoder has no kernels"
    note = max(reasons, key=lambda reason: reasons[reason])
    name = next(name for name, record in report.of("fresh").items() if record.note == note)
    return f"for one, {name}: {note}"


def _lower(report: TransferReport) -> str:
    """How to go on all the same."""
    return "; take a network nearer to the weights, or set 'minimum' lower" if report.coverage else ""
