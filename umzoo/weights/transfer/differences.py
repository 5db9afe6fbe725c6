"""Differences that shapes do not show: strides, norms, spacing, orientation, axes, intensities."""

from __future__ import annotations

from collections.abc import Iterator

from umzoo.spec import InputSpec, IntensityRule
from umzoo.weights.transfer.report import by
from umzoo.weights.transfer.rules import TransferRules
from umzoo.weights.transfer.source_and_target import Side, Size


def axes_turn(source: InputSpec | None, target: InputSpec | None, rules: TransferRules) -> Size | None:
    """Return the source axis for each array axis (D, H, W) of the target; None if kernels keep their axes."""
    ours, theirs = (source or InputSpec()).axes, (target or InputSpec()).axes
    if rules.axes == "keep" or ours == theirs or sorted(ours) != sorted(theirs):
        return None
    first, second, third = (ours.index(axis) for axis in theirs)
    return first, second, third


def differences(source: Side, target: Side, expected: InputSpec | None, turn: Size | None) -> Iterator[str]:
    """Yield one line for each difference between the training input of *source* and the expected input of *target*.

    Unknown properties of the target are not compared, except orientation and axes: umzoo and nnU-Net both feed arrays
    (z, y, x), and umzoo's are LPS.
    """
    yield from _strides(source, target, turn)
    yield from _norms(source, target)
    if source.input is None:
        return
    yield from _geometry(source.input, expected or InputSpec(), turn)
    space = expected.space if expected else target.space
    if space and source.input.space != space:
        yield f"input: the weights expect {_SPACES[source.input.space]}, the target {_SPACES[space]}"
    if expected:
        yield from _spacing(source.input, expected)
        yield from _intensities(source.input, expected)


_SPACES = {"unit": "values in [0, 1]", "zscore": "zero mean and unit variance"}


def _strides(source: Side, target: Side, turn: Size | None) -> Iterator[str]:
    for stage, (theirs, ours) in enumerate(zip(source.strides, target.strides, strict=False)):
        if turn:
            theirs = (theirs[turn[0]], theirs[turn[1]], theirs[turn[2]])
        if theirs != ours:
            yield (
                f"stage {stage}: stride {by(theirs)} in the weights, {by(ours)} in the target:"
                " this and later kernels see a different scale"
            )


def _norms(source: Side, target: Side) -> Iterator[str]:
    """Batch norm has running statistics, which other norms do not provide."""
    theirs, ours = (any(name.endswith("running_mean") for name in side.tensors) for side in (source, target))
    if ours and not theirs:
        yield (
            "norm: batch norm in the target, another norm in the weights: running statistics are fresh, so outputs in"
            " evaluation mode are wrong before training; use a network with the norm of the weights"
        )
    if theirs and not ours:
        yield "norm: batch norm in the weights, another norm in the target: outputs differ; train the network further"


def _geometry(source: InputSpec, target: InputSpec, turn: Size | None) -> Iterator[str]:
    if source.axes != target.axes and turn is None:
        yield (
            f"array axes: {source.axes} in the weights, {target.axes} in the target: transpose the images,"
            " or permute the kernels with axes='permute'"
        )
    if source.orientation != target.orientation:
        known = len(source.orientation) == len(target.orientation) == 3
        remedy = "flip the images" if known else "check that the images have the same orientation"
        yield f"orientation: {source.orientation} in the weights, {target.orientation} in the target: {remedy}"


def _spacing(source: InputSpec, target: InputSpec) -> Iterator[str]:
    if source.spacing != target.spacing:
        yield f"spacing: {_millimeters(source.spacing)} in the weights, {_millimeters(target.spacing)} in the target"


def _intensities(source: InputSpec, target: InputSpec) -> Iterator[str]:
    for modality in sorted({*source.rules, *target.rules}):
        theirs, ours = source.rule(modality), target.rule(modality)
        if theirs != ours:
            name = "other modalities" if modality == "*" else modality
            yield f"intensity of {name}: {_rule(theirs)} in the weights, {_rule(ours)} in the target"


def _rule(rule: IntensityRule) -> str:
    return f"{rule.kind} {rule.window or rule.percentiles}"


def _millimeters(spacing: tuple[float, float, float] | None) -> str:
    return "native" if spacing is None else f"{by(spacing)} mm"
