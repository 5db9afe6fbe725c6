"""Infers a 3D ResNet from its tensors, and converts variants of some libraries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from umzoo.backbones.resnet import RESNETS, ResNet3D
from umzoo.errors import WeightsError
from umzoo.weights.importers.checkpoint import some_names


def resnet_kind(state: Mapping[str, Tensor], whose: str) -> type[ResNet3D]:
    """Return the ResNet with the number of blocks per layer that *state* has; errors name the project *whose*.

    Raises:
        WeightsError: if there is no such ResNet.
    """
    firsts = (name.split(".") for name in state if name.endswith(".conv1.weight") and name.startswith("layer"))
    counts = Counter(parts[0] for parts in firsts)
    blocks = tuple(counts[f"layer{number}"] for number in (1, 2, 3, 4))
    bottleneck = "layer1.0.conv3.weight" in state
    for kind in RESNETS:
        if (kind.blocks, kind.bottleneck) == (blocks, bottleneck):
            return kind
    known = ", ".join(kind.name for kind in RESNETS)
    raise WeightsError(
        f"the file contains no ResNet of {whose}: it has {blocks} blocks in layer1 to layer4 and tensors"
        f" {some_names(state)}; expected one of {known}"
    )


def without_biases(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return *state* with the biases of MONAI's shortcuts moved into the following norms, which is equivalent."""
    result = dict(state)
    for name in [name for name in state if name.endswith(".downsample.0.bias")]:
        mean = name.replace(".0.bias", ".1.running_mean")
        if mean in result and result[mean].shape == state[name].shape:
            result[mean] = result[mean] - result.pop(name)
    return result


def resnet_widths(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the options that are inferred from the first kernel of *state*."""
    kernel = state.get("conv1.weight")
    return {} if kernel is None else {"width": int(kernel.shape[0]), "in_channels": int(kernel.shape[1])}


def with_counters(state: Mapping[str, Tensor], wanted: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return *state* with the step counters of its batch norms, which files from before PyTorch 0.4.1 do not have."""
    missing = (name for name in wanted if name.endswith("num_batches_tracked") and name not in state)
    return {**state, **{name: torch.tensor(0) for name in missing}}
