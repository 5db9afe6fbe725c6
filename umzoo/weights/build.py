"""From a weights folder to a network."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import torch

from umzoo.backbones.base import Backbone
from umzoo.backbones.state import load_canonical, named_tensors, require_same, shapes
from umzoo.errors import ConfigError, PluginError, UnknownNameError, WeightsError
from umzoo.plugins import zoo
from umzoo.weights.info import WeightsInfo
from umzoo.weights.io import load_state, read_info, read_shapes
from umzoo.weights.transfer import TransferRules, transfer

log = logging.getLogger(__name__)


def load_backbone(folder: Path | str, in_channels: int | None = None) -> Backbone:
    """Return the network in *folder*, on the CPU, in evaluation mode; ``weights_info`` is what the folder says.

    Args:
        folder: a weights folder.
        in_channels: channels of the input if it shall differ; the first convolution is repeated and rescaled.

    Raises:
        WeightsError: if the folder is incomplete, altered, or does not fit the architecture it names.
    """
    info = read_info(folder)
    _check_before_allocation(folder, info)
    with torch.random.fork_rng(devices=[]):
        backbone = build_backbone(info, in_channels)
    fresh = {name: tensor for name, tensor in named_tensors(backbone).items() if not _belongs(name, info)}
    if fresh:
        log.warning("%s holds %s only: the rest of the network is random", info.name, ", ".join(info.parts))
    if in_channels is None:
        load_canonical(backbone, {**fresh, **load_state(folder)})
    else:
        _load_adapted(folder, backbone, fresh.keys())
    backbone.weights_info = info
    return backbone.eval()


def _load_adapted(folder: Path | str, backbone: Backbone, fresh: Collection[str]) -> None:
    """Load a network whose input channels differ; all but *fresh* must be set."""
    report = transfer(folder, backbone, TransferRules(minimum=1.0))
    left = [f"{name} ({reason})" for name, reason in report.fresh.items() if name not in fresh]
    if left or report.dropped:
        unused = [record.name for record in report.dropped]
        raise WeightsError(f"{report.source} does not fit the network: {'; '.join((left or unused)[:4])}")


def build_backbone(info: WeightsInfo, in_channels: int | None = None) -> Backbone:
    """Return the network that *info* describes, with random weights.

    Raises:
        WeightsError: if its architecture or an option is unknown, with the plug-in that may be missing.
    """
    options = info.backbone.options | ({} if in_channels is None else {"in_channels": in_channels})
    spec = {"name": info.backbone.name, **options}
    try:
        backbone: Backbone = zoo().backbones.build(spec, "backbone", patch_size=info.input.patch_size)
    except (UnknownNameError, ConfigError, PluginError) as error:
        remedy = f"; it comes with the plug-in '{info.plugin}': install it" if info.plugin else ""
        raise WeightsError(f"{info.name} cannot be built: {error}{remedy}") from None
    return backbone


def _check_before_allocation(folder: Path | str, info: WeightsInfo) -> None:
    """Compare the file's header with the architecture, built without memory, so that a wrong config costs nothing."""
    found = read_shapes(folder)
    try:
        with torch.device("meta"):
            expected = shapes(named_tensors(build_backbone(info)))
    except (NotImplementedError, RuntimeError) as error:
        log.debug("%s cannot be built on the meta device: %s", info.backbone.name, error)
        return
    require_same({name: shape for name, shape in expected.items() if _belongs(name, info)}, found)


def _belongs(name: str, info: WeightsInfo) -> bool:
    """Whether tensor *name* is of a part that the weights hold."""
    return name.partition(".")[0] in info.parts
