"""Loads a backbone from a weights folder."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils import swap_tensors

from umzoo.backbones.base import Backbone
from umzoo.backbones.state import named_tensors
from umzoo.errors import WeightsError
from umzoo.weights.folder.base_model import origin
from umzoo.weights.folder.licenses import say_terms
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.safetensors_file import is_finite
from umzoo.weights.folder.tensors import open_tensors
from umzoo.weights.networks.construction import belongs, build_to_fill, require_fit
from umzoo.weights.transfer import TransferRules, transfer

log = logging.getLogger(__name__)


def load_backbone(
    folder: Path | str, in_channels: int | None = None, device: torch.device | str = "cpu", dense: bool = True
) -> Backbone:
    """Return the network in *folder*, in evaluation mode; ``weights_info`` is the content of ``config.json``.

    The network is built on the meta device, and each tensor is moved to *device* as soon as it is read. So the memory
    needed is that of the network and of one more tensor.

    Args:
        folder: a weights folder.
        in_channels: number of input channels, if it differs; the first convolution is repeated and rescaled, which
            needs twice the memory of the weights.
        device: device of the network.
        dense: whether the dense features will be used; if so, a missing decoder causes a warning.

    Raises:
        WeightsError: if the folder is incomplete or modified, or does not fit its architecture.
    """
    info, device = read_info(folder), torch.device(device)
    say_terms(info.name, info.license, info.license_link)
    with open_tensors(folder) as file:
        backbone = build_to_fill(info, file.shapes, in_channels)
        tensors = named_tensors(backbone)
        fresh = [name for name in tensors if not belongs(name, info)]
        if any(dense or not name.startswith("decoder.") for name in fresh):
            log.warning(
                "%s contains only: %s; the rest of the network is randomly initialized",
                info.name,
                ", ".join(info.parts),
            )
        alike = all(tuple(tensors[name].shape) == shape for name, shape in file.shapes.items() if name in tensors)
        if alike or in_channels is None:
            require_fit(backbone, info, file.shapes)
            fill(tensors, file, device)
            backbone.to(device)
        else:
            _load_adapted(folder, backbone, fresh, device)
    backbone.weights_info, backbone.weights_origin = info, origin(folder, info)
    if backbone.caution:
        log.warning("%s: %s", info.name, backbone.caution)
    return backbone.eval()


def fill(targets: Mapping[str, Tensor], values: Iterable[tuple[str, Tensor]], device: torch.device) -> None:
    """Set *targets* to the *values* with the same names; they stay the same objects."""
    for name, value in values:
        target = targets[name]
        if value.is_floating_point() != target.is_floating_point():
            raise WeightsError(
                f"tensor {name} has dtype {value.dtype}, but the network expects {target.dtype}: export it again"
            )
        fitted = value.to(device=device, dtype=target.dtype)
        if value.dtype != target.dtype and is_finite(value) and not is_finite(fitted):
            raise WeightsError(
                f"tensor {name} has {value.dtype} values that are too large for {target.dtype}: export it again"
            )
        _replace(target, fitted)


def _replace(target: Tensor, value: Tensor) -> None:
    """Set *target* to *value*, on the device of *value*; it stays the same object, with the same ``requires_grad``."""
    is_parameter = isinstance(target, nn.Parameter)
    swap_tensors(target, nn.Parameter(value, requires_grad=target.requires_grad) if is_parameter else value)


def _load_adapted(folder: Path | str, backbone: Backbone, fresh: Collection[str], device: torch.device) -> None:
    """Load a network with a different number of input channels; all tensors except *fresh* must be set."""
    for tensor in named_tensors(backbone).values():
        if tensor.is_meta:
            _replace(tensor, torch.empty_like(tensor, device=device))
    expected = read_info(folder).input.model_copy(update={"in_channels": backbone.info.in_channels})
    report = transfer(folder, backbone.to(device), TransferRules(minimum=0), expected)
    left = [f"{name} ({reason})" for name, reason in report.fresh.items() if name not in fresh]
    if left or report.dropped:
        unused = [record.name for record in report.dropped]
        raise WeightsError(f"{report.source} does not fit the network: {'; '.join((left or unused)[:4])}")
    log.info("%s", report.verdict)
    for warning in report.warnings:
        log.warning("%s", warning)
