"""Compromises between nnU-Net's planned network and that of the weights, and the coverage of each by the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from umzoo.backbones.nnunet_config import UNetConfig
from umzoo.nnunet.planning.configuration import Planned
from umzoo.nnunet.planning.default_plan import OwnPlan, Size
from umzoo.weights.folder.reader import read_shapes
from umzoo.weights.networks.nnunet_architecture import first_stages
from umzoo.weights.transfer import TransferReport, plan_transfer

Origin = Literal["nnunet", "weights"]


@dataclass(frozen=True)
class Candidate:
    """A candidate network of plans.

    Attributes:
        title: description.
        architecture: the plan's entry.
        patch: voxels (D, H, W); a multiple of the total stride.
        batch_size: patches per step.
        memory: GB of memory for training, by nnU-Net's estimate.
        report: transfer of the weights to it.
    """

    title: str
    architecture: Mapping[str, Any]
    patch: Size
    batch_size: int
    memory: float
    report: TransferReport

    @property
    def stages(self) -> int:
        """Number of resolution stages."""
        return int(self.architecture["arch_kwargs"]["n_stages"])

    @property
    def coarsest(self) -> Size:
        """Size (D, H, W) of the coarsest feature map of a patch, in voxels."""
        depth, height, width = divisor(self.architecture)
        return self.patch[0] // depth, self.patch[1] // height, self.patch[2] // width


def fitted(own: Mapping[str, Any], options: UNetConfig, kernels: Origin) -> dict[str, Any]:
    """Return nnU-Net's architecture *own* with stages, features and blocks of the weights, with no more stages.

    Args:
        own: entry ``architecture`` of nnU-Net's plan.
        options: network of the weights.
        kernels: source of kernels and strides.
    """
    planned = dict(own["arch_kwargs"])
    count = min(int(planned["n_stages"]), len(options.stage_features))
    values = first_stages(options, count)
    if kernels == "nnunet":
        values |= {name: [list(it) for it in planned[name][:count]] for name in ("kernel_sizes", "strides")}
    return {**own, "arch_kwargs": {**planned, **values}}


def candidate(
    title: str,
    own: OwnPlan,
    settings: Mapping[str, Any],
    architecture: Mapping[str, Any],
    state: Mapping[str, Tensor],
    batch_size: int | None = None,
) -> Candidate:
    """Return the candidate with *architecture* for *settings* of a configuration, with memory and transfer report."""
    patch = rounded(settings["patch_size"], divisor(architecture))
    features = own.features(architecture, patch)
    batch_size = batch_size or own.batch_size(features, patch, settings["median_image_size_in_voxels"])
    configuration = {**settings, "architecture": dict(architecture), "patch_size": list(patch)}
    planned = Planned({**own.plans, "configurations": {"it": configuration}}, "it", own.dataset)
    report = plan_transfer(state, planned.build_without_memory(), {"minimum": 0.0}).report
    return Candidate(title, architecture, patch, batch_size, own.memory(features, batch_size), report)


def shapes_only(weights: Path) -> dict[str, Tensor]:
    """Return the tensors of a weights folder without their values."""
    return {name: torch.empty(shape, device="meta") for name, shape in read_shapes(weights).items()}


def divisor(architecture: Mapping[str, Any]) -> Size:
    """Return the total stride (D, H, W) in voxels, of which patch sizes must be multiples."""
    total = [1, 1, 1]
    for stride in architecture["arch_kwargs"]["strides"]:
        total = [before * step for before, step in zip(total, stride, strict=True)]
    depth, height, width = total
    return depth, height, width


def rounded(patch: Any, multiple: Size) -> Size:
    """Return *patch*, enlarged to a multiple of *multiple* along each axis."""
    depth, height, width = (-(-int(n) // m) * m for n, m in zip(patch, multiple, strict=True))
    return depth, height, width
