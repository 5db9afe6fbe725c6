"""Moving weights into another network, with a report of what was and what was not moved.

Today a tensor moves when name and shape agree, and the first convolution may differ in its input channels. Other
kernel sizes, depths and families (1x3x3 stages, other numbers of stages in the decoder, plain to residual encoders)
are not adapted yet: what they concern stays as it was and is reported with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from umzoo.backbones.state import Shapes, canonical_state, named_tensors, shapes, unwrap
from umzoo.errors import WeightsError
from umzoo.heads.model import Model
from umzoo.weights.channels import channels_differ, first_kernel, repeat_channels
from umzoo.weights.io import load_state

_STAGE = re.compile(r"encoder\.stages\.(\d+)\.")


@dataclass
class TransferReport:
    """What became of every tensor.

    Attributes:
        exact: tensors of the target that were set from a source tensor of equal name and shape.
        adapted: tensors that were set after a change, with the change.
        fresh: tensors of the target that were left as they were, with the reason.
        dropped: tensors of the source that were not used.
        coverage: share of the target's encoder kernels (convolution and linear weights, in values) that was set.
        decoder_coverage: the same of its decoder; nan without one.
    """

    exact: list[str] = field(default_factory=list)
    adapted: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    coverage: float = 0.0
    decoder_coverage: float = float("nan")

    def __str__(self) -> str:
        return (
            f"{self.coverage:.1%} of the encoder's kernels and {self.decoder_coverage:.1%} of the decoder's were set:"
            f" {len(self.exact)} tensors exact, {len(self.adapted)} adapted, {len(self.fresh)} left fresh,"
            f" {len(self.dropped)} of the source dropped"
        )


def transfer(
    source: nn.Module | Mapping[str, Tensor] | Path | str, target: nn.Module, minimum: float = 0.5
) -> TransferReport:
    """Copy what fits from *source* into *target*, in place; parameters stay the same objects, so optimizers live on.

    Args:
        source: a network, its canonical tensors, or a weights folder.
        target: a backbone, a :class:`Model`, or nnU-Net's own U-Net; may be wrapped by DDP or ``torch.compile``.
        minimum: least share of the encoder's kernels that must be set.

    Raises:
        WeightsError: if less than *minimum* would be set; *target* is unchanged then.
    """
    state = _state(source)
    network = unwrap(target)
    tensors = named_tensors(network.backbone if isinstance(network, Model) else network)
    report = _plan(shapes(state), shapes(tensors))
    if report.coverage < minimum:
        raise WeightsError(f"the weights hardly fit this network, nothing was changed: {report}; {_why(report)}")
    with torch.no_grad():
        for name in (*report.exact, *report.adapted):
            value = state[name]
            tensors[name].copy_(repeat_channels(value, tensors[name].shape[1]) if name in report.adapted else value)
    return report


def _state(source: nn.Module | Mapping[str, Tensor] | Path | str) -> Mapping[str, Tensor]:
    if isinstance(source, (str, Path)):
        return load_state(source)
    if isinstance(source, nn.Module):
        network = unwrap(source)
        return canonical_state(network.backbone if isinstance(network, Model) else network)
    return source


def _plan(source: Shapes, target: Shapes) -> TransferReport:
    report = TransferReport()
    stem = first_kernel(target)
    depths = _stages(source), _stages(target)
    for name, shape in target.items():
        if name not in source:
            report.fresh[name] = "the source has no such tensor"
        elif name.startswith("decoder.") and depths[0] != depths[1]:
            report.fresh[name] = f"the source has {depths[0]} stages, this network {depths[1]}"
        elif source[name] == shape:
            report.exact.append(name)
        elif name == stem and channels_differ(source[name], shape):
            report.adapted[name] = f"{source[name][1]} input channels repeated to {shape[1]}"
        else:
            report.fresh[name] = f"the source has shape {source[name]}, this network {shape}"
    used = {*report.exact, *report.adapted}
    report.dropped = [name for name in source if name not in used]
    report.coverage = _coverage(target, used, "encoder.")
    report.decoder_coverage = _coverage(target, used, "decoder.")
    return report


def _stages(tensors: Shapes) -> int:
    """Number of stages of a U-Net; its decoder counts them from the deepest, so equal names need equal depth."""
    return 1 + max((int(match[1]) for match in map(_STAGE.match, tensors) if match), default=-1)


def _coverage(target: Shapes, used: set[str], part: str) -> float:
    sizes = {name: prod(shape) for name, shape in target.items() if name.startswith(part) and len(shape) > 1}
    total = sum(sizes.values())
    set_values = sum(size for name, size in sizes.items() if name in used)
    return set_values / total if total else (0.0 if part == "encoder." else float("nan"))


def _why(report: TransferReport) -> str:
    """The first reason why an encoder tensor is left fresh."""
    reasons = (f"for one, {name}: {reason}" for name, reason in report.fresh.items() if name.startswith("encoder."))
    return next(reasons, "it has no tensors under 'encoder.'")
