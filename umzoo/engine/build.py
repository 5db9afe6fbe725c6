"""Builds the trained module from a recipe and the description of a store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import torch

from umzoo.backbones.base import Backbone
from umzoo.backbones.state import named_tensors, require_contract
from umzoo.blame import blame, named_plugins
from umzoo.data.store.targets import Target
from umzoo.engine.recipe import Recipe
from umzoo.errors import ComponentError, ConfigError
from umzoo.plugins import Zoo
from umzoo.pretext.base import PretextContext, PretextTask
from umzoo.pretext.corruptions import build_corruptions
from umzoo.pretext.guard import GuardedModel
from umzoo.pretext.model import PretextModel
from umzoo.spec import ComponentSpec, TaskSpec

log = logging.getLogger(__name__)


def build_from_recipe(
    zoo: Zoo,
    recipe: Recipe,
    modalities: tuple[str, ...],
    fill: Callable[[Backbone], object] | None = None,
    targets: Mapping[str, Target] | None = None,
) -> PretextModel:
    """Build the model of *recipe*; the initial weights depend only on ``recipe.seed``.

    Args:
        zoo: registries of components.
        recipe: the recipe.
        modalities: names of the store's modalities.
        fill: loads weights into the backbone, before tasks copy it.
        targets: targets of the store's volumes.

    Raises:
        ConfigError: if the recipe does not suit the data.
    """
    with named_plugins(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        backbone: Backbone = zoo.backbones.build(recipe.backbone, "backbone", patch_size=recipe.data.patch_size)
        _check_backbone(backbone, recipe)
        if fill is not None:
            fill(backbone)
        context = PretextContext(backbone.info, recipe.data.patch_size, recipe.data.scales, modalities, targets or {})
        return build_model(zoo, backbone, recipe.pretext.corruptions, recipe.pretext.tasks, context)


def _check_backbone(backbone: Backbone, recipe: Recipe) -> None:
    require_contract(named_tensors(backbone), recipe.backbone.name)
    if backbone.info.in_channels != 1:
        raise ConfigError(
            f"pre-training needs one input channel, got backbone.in_channels={backbone.info.in_channels}: set it to 1;"
            " the weights can be loaded with more channels later"
        )
    nearest = backbone.info.nearest_size(recipe.data.patch_size)
    if nearest != recipe.data.patch_size:
        raise ConfigError(
            f"data.patch_size {recipe.data.patch_size} does not suit {recipe.backbone.name}, whose sizes are multiples"
            f" of {backbone.info.divisor}: the nearest is {nearest}"
        )


@named_plugins()
def build_model(
    zoo: Zoo,
    backbone: Backbone,
    corruptions: Sequence[ComponentSpec],
    tasks: Sequence[TaskSpec],
    context: PretextContext,
) -> PretextModel:
    """Build the tasks and corruptions of a recipe around *backbone*.

    A task that is unsuitable in *context* is dropped with a warning.

    Raises:
        ConfigError: if no task is left, a label is used twice, or a task needs missing fields or a missing decoder.
    """
    chain = build_corruptions(corruptions, "pretext.corruptions", zoo)
    built: dict[str, PretextTask] = {}
    dropped: list[str] = []
    for spec in tasks:
        if spec.label in built:
            raise ConfigError(f"pretext.tasks has two tasks called '{spec.label}': give one an 'as' name")
        kind = zoo.pretext_tasks[spec.name]
        if reason := _obstacle(kind, context):
            log.warning("pretext task '%s' is dropped: %s", spec.label, reason)
            dropped.append(f"{spec.label} ({reason})")
            continue
        _check_needs(kind, context)
        built[spec.label] = zoo.pretext_tasks.build(spec, f"pretext.tasks.{spec.label}", context=context)
    if not built:
        raise ConfigError(f"all pretext tasks of the recipe were dropped: {', '.join(dropped)}; choose others")
    if not any(task.dense for task in built.values()):
        _freeze_decoder(backbone)
    return GuardedModel(backbone, built, {spec.label: spec.weight for spec in tasks}, chain)


def _obstacle(task: type[PretextTask], context: PretextContext) -> str | None:
    with blame(task.called(), "obstacle"):
        reason = task.obstacle(context)
    if not isinstance(reason, str | None):
        raise ComponentError(f"{task.called()} must return a reason or None from obstacle, got {reason!r}")
    return reason


def _freeze_decoder(backbone: Backbone) -> None:
    """Freeze the decoder if no task uses dense features; then it is not exported either."""
    for name, parameter in backbone.named_parameters():
        if name.startswith("decoder."):
            parameter.requires_grad_(False)


def _check_needs(task: type[PretextTask], context: PretextContext) -> None:
    if isinstance(task.reads, str):
        raise ComponentError(f"{task.called()}: 'reads' must be a set of names of fields, got {task.reads!r}")
    if missing := frozenset(task.reads) - context.fields:
        raise ConfigError(
            f"{task.called()} reads {', '.join(sorted(missing))}, which no batch has"
            f" (fields: {', '.join(sorted(context.fields))})"
        )
    if task.dense and context.backbone.decoder_channels is None:
        raise ConfigError(f"pretext task '{task.name}' needs a decoder, and the backbone has none")
