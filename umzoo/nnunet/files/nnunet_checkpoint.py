"""Weights as one file for nnU-Net's own ``nnUNetv2_train -pretrained_weights``, whatever trainer is used.

nnU-Net wants every tensor of the planned network in it, under each of its names and with the planned shape; the
segmentation layers it leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from umzoo import __version__
from umzoo.backbones.state import canonical_state, expand_aliases
from umzoo.errors import ConfigError, WeightsError
from umzoo.files import written_whole
from umzoo.nnunet.environment import require_nnunet
from umzoo.nnunet.planning.allowed_networks import build_network
from umzoo.nnunet.planning.configuration import Planned, read_json
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.networks.nnunet_architecture import plan_of_backbone
from umzoo.weights.transfer import TransferReport, TransferRules, transfer


def convert(
    weights: Path, out: Path, planned: Planned | None = None, rules: TransferRules | Mapping[str, Any] | None = None
) -> TransferReport:
    """Write the weights folder *weights* as *out* for ``-pretrained_weights``; return the report of the transfer.

    The file can be read with ``weights_only=True`` on any machine. What the weights do not hold is as random as in a
    fresh network; the report says which tensors that are.

    Args:
        weights: a weights folder of ``resenc_unet_*`` or ``plainconv_unet``.
        out: file to write.
        planned: configuration whose network the file is for; None: the network of the weights.
        rules: what may be changed so that the weights fit.

    Raises:
        ConfigError: if nnU-Net is missing.
        WeightsError: if *out* is there already, or the weights do not fit the network.
    """
    require_nnunet()
    refuse_existing(out)
    info = read_info(weights)
    with torch.random.fork_rng(devices=[]):
        network = network_of_weights(info) if planned is None else planned.build()
    report = transfer(weights, network, rules, planned.input(info.input) if planned else info.input)
    report = planned.with_normalization(report) if planned else report
    content = {"network_weights": expand_aliases(canonical_state(network), network), "umzoo": provenance(info, report)}
    save_file(content, out)
    return report


def network_of_weights(info: WeightsInfo, classes: int = 2) -> nn.Module:
    """Return nnU-Net's own network for the weights that *info* describes, with random values.

    Raises:
        WeightsError: if nnU-Net has no such network.
    """
    channels = int(info.backbone.options.get("in_channels", info.input.in_channels))
    return build_network(plan_of_backbone(info.backbone), channels, classes, deep_supervision=True)


def provenance(info: WeightsInfo, report: TransferReport | None = None) -> dict[str, Any]:
    """Return where a file's values come from, as plain values."""
    return {
        "umzoo": __version__,
        "weights": info.name,
        "sha256": dict(info.files),
        "license": info.license,
        "citations": list(info.citations),
        "input": info.input.model_dump(mode="json"),
        "report": report.model_dump(mode="json") if report else None,
    }


def planned_in(file: Path, configuration: str) -> Planned:
    """Return *configuration* of the plans in *file*, which has ``dataset.json`` beside it.

    Raises:
        ConfigError: if there is no ``dataset.json``.
        DataError: if a file is damaged.
    """
    dataset = file.with_name("dataset.json")
    if not dataset.is_file():
        raise ConfigError(f"there is no {dataset}, which says how many channels and classes the plans are for")
    return Planned(read_json(file), configuration, read_json(dataset))


def refuse_existing(out: Path) -> None:
    """Keep what is there.

    Raises:
        WeightsError: if *out* exists, or the folder it shall be in does not.
    """
    if out.exists():
        raise WeightsError(f"{out} exists already: give another name, or remove it")
    if not out.absolute().parent.is_dir():
        raise WeightsError(f"there is no folder {out.absolute().parent}")


def save_file(content: Mapping[str, Any], out: Path) -> None:
    """Write *content* with ``torch.save`` under a temporary name, flush it and give it the name *out*.

    Raises:
        WeightsError: if it cannot be written.
    """
    try:
        with written_whole(out) as temporary:
            torch.save(dict(content), temporary)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"cannot write {out}: {error}") from None
