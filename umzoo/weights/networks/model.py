"""Loads a backbone, or a backbone with its trained head, from a weights folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from umzoo.backbones.base import Backbone
from umzoo.backbones.state import Shapes, named_tensors, require_same, shapes
from umzoo.errors import ConfigError, PluginError, UnknownNameError, WeightsError, in_one_line
from umzoo.heads.answer import Answer
from umzoo.heads.base import Head
from umzoo.heads.model import Model
from umzoo.plugins import zoo
from umzoo.spec import ComponentSpec
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.reader import HEAD, read_info
from umzoo.weights.folder.tensors import open_tensors
from umzoo.weights.networks.backbone import fill, load_backbone
from umzoo.weights.networks.construction import FAILURES, budget

HeadSpec = ComponentSpec | Mapping[str, Any] | str
PREFIX = "head."
"""Prefix of tensor names in ``head.safetensors``, as in the state dict of a model."""


def load_network(
    folder: Path | str,
    head: HeadSpec | bool | None = None,
    in_channels: int | None = None,
    device: torch.device | str = "cpu",
) -> Backbone | Model:
    """Return the network in *folder*, in evaluation mode.

    Args:
        folder: a weights folder.
        head: None uses the head of the folder, if there is one; True requires one; False ignores it; anything else
            specifies a new head with random weights.
        in_channels: number of input channels, as for :func:`umzoo.weights.networks.backbone.load_backbone`.
        device: device of the network.

    Raises:
        ConfigError: if *head* is not a registered head, or does not fit the backbone.
        WeightsError: if the folder is incomplete, modified or does not fit, or has no head although *head* is True.
    """
    if head is None or isinstance(head, bool):
        return _as_it_was(folder, head, in_channels, device)
    kind, _ = zoo().heads.options(head, "head")
    backbone = load_backbone(folder, in_channels, device, dense=kind.dense)
    return Model(backbone, zoo().heads.build(head, "head", info=backbone.info)).to(device).eval()


def head_state(head: Head) -> dict[str, Tensor]:
    """Return the tensors of *head* under ``head.*``, detached but not copied."""
    return {PREFIX + name: tensor.detach() for name, tensor in named_tensors(head).items()}


def require_agreement(answer: Answer, head: Head, in_channels: int) -> None:
    """Require that *answer*, the description of the output, agrees with *head*.

    Raises:
        WeightsError: if the number of names differs from the number of classes, targets or channels.
    """
    counts = {key: getattr(head.config, key, None) for key in ("classes", "targets")} | {"channels": in_channels}
    for key, expected in counts.items():
        found = len(getattr(answer, key))
        if found and expected is not None and found != expected:
            raise WeightsError(f"'answer' names {found} {key}, but the network has {expected}: give one name for each")


def _as_it_was(
    folder: Path | str, wanted: bool | None, in_channels: int | None, device: torch.device | str
) -> Backbone | Model:
    info = read_info(folder)
    if wanted and info.head is None:
        raise WeightsError(
            f'{info.name} has no head: specify one, such as head={{"name": "segmentation", "classes": 3}}'
        )
    if wanted is False or info.head is None:
        return load_backbone(folder, in_channels, device)
    kind, options = _head_kind(info, info.head)
    backbone = load_backbone(folder, in_channels, device, dense=kind.dense)
    with open_tensors(folder, HEAD) as file:
        held = {name.removeprefix(PREFIX): shape for name, shape in file.shapes.items()}
        head = _build_head(lambda: kind.build(options, info=backbone.info), info, held).to(device)
        fill({PREFIX + name: tensor for name, tensor in named_tensors(head).items()}, file, torch.device(device))
    if info.answer is not None:
        require_agreement(info.answer, head, info.input.in_channels)
    return Model(backbone, head, info.answer).eval()


def _head_kind(info: WeightsInfo, spec: ComponentSpec) -> tuple[type[Head], Any]:
    """Class and options of the head of *info*."""
    try:
        kind, options = zoo().heads.options(spec, "head")
    except (UnknownNameError, ConfigError, PluginError) as error:
        remedy = f"; install the plug-in '{info.head_plugin}', which provides it" if info.head_plugin else ""
        raise WeightsError(in_one_line(f"the head of {info.name} cannot be built: {error}{remedy}")) from None
    return kind, options


def _build_head(build: Callable[[], Head], info: WeightsInfo, held: Shapes) -> Head:
    """The head of *info*. It is first built on ``meta`` and compared with the shapes *held* by the file."""
    try:
        with budget(held), torch.device("meta"):
            require_same(shapes(named_tensors(build())), held)
        with budget(held), torch.random.fork_rng(devices=[]):
            return build()
    except FAILURES as error:
        raise WeightsError(in_one_line(f"the head of {info.name} cannot be built: {error}")) from error
