"""Export to a checkpoint file for ``nnUNetv2_train -pretrained_weights``, for any trainer.

nnU-Net requires every tensor of the planned network in the file, under each of its names and with the planned shape,
and ignores segmentation layers.
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
    """Write the weights folder *weights* to *out* for ``-pretrained_weights``; return the report of the transfer.

    The file can be read with ``weights_only=True``. Tensors that the weights lack are initialized randomly; the report
    lists them.

    Args:
        weights: a weights folder of ``resenc_unet_*`` or ``plainconv_unet``.
        out: file to write.
        planned: configuration with the target network; None uses the network of the weights.
        rules: permitted adaptations of the weights.

    Raises:
        ConfigError: if nnU-Net is missing.
        WeightsError: if *out* exists, or the weights do not fit the network.
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
    """Return nnU-Net's network for the weights *info*, randomly initialized.

    Raises:
        WeightsError: if nnU-Net has no such network.
    """
    channels = int(info.backbone.options.get("in_channels", info.input.in_channels))
    return build_network(plan_of_backbone(info.backbone), channels, classes, deep_supervision=True)


def provenance(info: WeightsInfo, report: TransferReport | None = None) -> dict[str, Any]:
    """Return the origin of a file's values as JSON-compatible values."""
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
    """Return *configuration* of the plans in *file*, with ``dataset.json`` in the same folder.

    Raises:
        ConfigError: if ``dataset.json`` is missing.
        DataError: if a file is damaged.
    """
    dataset = file.with_name("dataset.json")
    if not dataset.is_file():
        raise ConfigError(f"{dataset} is missing: copy it there from nnU-Net's folder of the data set")
    return Planned(read_json(file), configuration, read_json(dataset))


def refuse_existing(out: Path) -> None:
    """Check that *out* can be written without overwriting.

    Raises:
        WeightsError: if *out* exists, or its folder does not.
    """
    if out.exists():
        raise WeightsError(f"{out} exists already: give another name, or remove it")
    if not out.absolute().parent.is_dir():
        raise WeightsError(f"there is no folder {out.absolute().parent}: make it, or give another path")


def save_file(content: Mapping[str, Any], out: Path) -> None:
    """Write *content* to *out* atomically with ``torch.save``.

    Raises:
        WeightsError: if it cannot be written.
    """
    try:
        with written_whole(out) as temporary:
            torch.save(dict(content), temporary)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"cannot write {out}: {error}") from None
