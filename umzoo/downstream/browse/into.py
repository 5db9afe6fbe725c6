"""What weights would do for another network: one of the zoo, that of other weights, or one that nnU-Net planned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from umzoo.backbones.base import Backbone
from umzoo.downstream.browse.page import Page, escaped
from umzoo.downstream.browse.transfer import add_report
from umzoo.errors import ConfigError
from umzoo.hub.pulling.references import resolve
from umzoo.overrides import apply_override
from umzoo.plugins import zoo
from umzoo.spec import InputSpec
from umzoo.weights.folder.reader import read_info, read_shapes
from umzoo.weights.networks.construction import FAILURES, build_backbone, build_on_meta
from umzoo.weights.transfer import Plan, plan_transfer
from umzoo.weights.transfer.refusals import refusal


def transfer_page(weights: Path, target: str, options: Sequence[str] = (), configuration: str = "3d_fullres") -> Page:
    """Return the page on a transfer of *weights* into *target*, of which only the shapes are looked at.

    Args:
        weights: a weights folder.
        target: a backbone, weights (a folder, org/name, architecture.tag), or a plans file of nnU-Net (.json).
        options: of a backbone, such as ``in_channels=4``.
        configuration: of the plans.

    Raises:
        ConfigError: if an option is wrong, or *options* are given with something else than a backbone.
        DataError: if the plans are damaged.
        WeightsError: if there is no such target, or weights cannot be read.
    """
    if options and target not in zoo().backbones:
        raise ConfigError(f"'{target}' is no backbone, so it takes no options: leave out {' '.join(options)}")
    plan, notes = _plan(weights, target, options, configuration)
    page = Page(f"{plan.source.name} into {Path(target).name}")
    if problem := refusal(plan.report, plan.source, plan.target):
        page.add(f'<p class="warning">This transfer would be refused: {escaped(problem)}.</p>')
    add_report(page, plan.report.model_copy(update={"warnings": (*plan.report.warnings, *notes)}))
    return page


def _plan(weights: Path, target: str, options: Sequence[str], configuration: str) -> tuple[Plan, tuple[str, ...]]:
    """What would be transferred, and what differs in the normalization."""
    seen = read_info(weights).input
    if target.endswith(".json"):
        from umzoo.nnunet.environment import require_nnunet
        from umzoo.nnunet.files.nnunet_checkpoint import planned_in

        require_nnunet()
        planned = planned_in(Path(target), configuration)
        network = planned.build_without_memory()
        return plan_transfer(weights, network, input=planned.input(seen)), tuple(planned.normalization())
    if target in zoo().backbones:
        backbone = _backbone(target, options)
        return plan_transfer(weights, backbone, input=_fed(backbone, seen)), ()
    folder = resolve(target)
    info = read_info(folder)
    sketch = build_on_meta(info, read_shapes(folder)) or build_backbone(info)
    return plan_transfer(weights, sketch, input=info.input), ()


def _backbone(name: str, options: Sequence[str]) -> Backbone:
    """The backbone *name*, without values where it can be built so."""
    spec: dict[str, Any] = {"name": name}
    for option in options:
        apply_override(spec, option)
    try:
        with torch.device("meta"):
            sketch: Backbone = zoo().backbones.build(dict(spec))
            return sketch
    except FAILURES:
        with torch.random.fork_rng(devices=[]):
            whole: Backbone = zoo().backbones.build(dict(spec))
            return whole


def _fed(backbone: Backbone, seen: InputSpec) -> InputSpec:
    """What *backbone* will be fed: images like those that the weights have *seen*, as it takes them."""
    info = backbone.info
    return seen.model_copy(update={"in_channels": info.in_channels, "label_channels": 0, "space": info.input_space})
