"""Copies weights into another network of the same family, and reports how each tensor was handled.

Tensors are matched by their position, not by name: the encoder's stages by their number, the decoder's by the
encoder stage whose resolution they restore. :class:`TransferRules` lists the adaptations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from umzoo.backbones.base import Backbone
from umzoo.spec import InputSpec
from umzoo.weights.folder.base_model import binding
from umzoo.weights.transfer.plan import Plan
from umzoo.weights.transfer.report import TransferReport
from umzoo.weights.transfer.rules import TransferRules
from umzoo.weights.transfer.source_and_target import Source, find_backbone, network_side, source_side

__all__ = ["Plan", "Source", "TransferReport", "TransferRules", "plan_transfer", "transfer"]


def plan_transfer(
    source: Source,
    target: nn.Module,
    rules: TransferRules | Mapping[str, Any] | None = None,
    input: InputSpec | None = None,
) -> Plan:
    """Return the plan of a :func:`transfer` without changing anything; *target* may be on the ``meta`` device.

    Raises:
        ConfigError: if a rule is unknown or invalid.
        WeightsError: if the weights cannot be read.
    """
    if not isinstance(rules, TransferRules):
        rules = TransferRules.parse(rules or {}, "rules")
    known = getattr(find_backbone(target), "weights_info", None)
    return Plan(source_side(source), network_side(target), rules, input or (known.input if known else None))


def transfer(
    source: Source,
    target: nn.Module,
    rules: TransferRules | Mapping[str, Any] | None = None,
    input: InputSpec | None = None,
) -> TransferReport:
    """Copy the weights of *source* into *target* in place, as far as they fit or can be adapted.

    Parameters stay the same objects, so optimizers, DDP and compiled graphs remain valid. A backbone records its source
    weights, and saving it requires a license that they allow.

    Args:
        source: a weights folder, a network, or a state dict (nnU-Net's aliases and wrappers' prefixes are recognized).
        target: a backbone, a model that contains one, or one of nnU-Net's own networks; may be wrapped by DDP and
            ``torch.compile``.
        rules: allowed adaptations, as :class:`TransferRules` or a mapping of its options.
        input: the expected input of *target*, which is compared with that of the weights.

    Raises:
        ConfigError: if a rule is unknown or invalid.
        WeightsError: if the weights cannot be read, are of another family, or would set less than ``rules.minimum``
            of the encoder's kernels; *target* is then unchanged.
    """
    plan = plan_transfer(source, target, rules, input)
    plan.check()
    report = plan.apply()
    if plan.source.origin is not None and isinstance(backbone := find_backbone(target), Backbone):
        backbone.weights_origin = binding(backbone.weights_origin, plan.source.origin)
    return report
