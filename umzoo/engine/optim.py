"""Optimizer and learning rate schedule, both from timm."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from umzoo.engine.recipe import OptimConfig
from umzoo.errors import ConfigError

CHANGEABLE = ("lr", "initial_lr", "lr_scale", "weight_decay", "momentum", "betas")
"""Options of parameter groups that come from the configuration instead of the checkpoint."""


def build_optimizer(config: OptimConfig, model: nn.Module, groups: list[dict[str, Any]] | None = None) -> Optimizer:
    """Return timm's optimizer *config.name* for *groups*, or for *model* without weight decay on biases and norms.

    A group's ``lr_scale`` is a factor on the learning rate, which timm's schedulers apply.

    Raises:
        ConfigError: if timm has no such optimizer.
    """
    from timm.optim import create_optimizer_v2

    try:
        optimizer: Optimizer = create_optimizer_v2(
            model if groups is None else groups,
            opt=config.name,
            lr=config.lr,
            weight_decay=config.weight_decay,
            momentum=config.momentum,
        )
    except (ValueError, KeyError) as error:
        raise ConfigError(f"optim.name '{config.name}' is not an optimizer of timm: {error}") from None
    return optimizer


def build_schedule(config: OptimConfig, optimizer: Optimizer, steps: int) -> Any:
    """Return timm's scheduler for *steps*; ``step_update(step)`` depends on the step only."""
    from timm.scheduler import CosineLRScheduler, PolyLRScheduler
    from timm.scheduler.scheduler import Scheduler

    shared: dict[str, Any] = {"warmup_t": config.warmup_steps, "warmup_prefix": True, "t_in_epochs": False}
    shared |= {"warmup_lr_init": config.lr * 1e-2}
    length = max(2, steps - config.warmup_steps)
    makers: dict[str, Any] = {
        "cosine": lambda: CosineLRScheduler(optimizer, t_initial=length, **shared),
        "poly": lambda: PolyLRScheduler(optimizer, t_initial=length, power=0.9, **shared),
        "constant": lambda: PolyLRScheduler(optimizer, t_initial=length, lr_min=config.lr, **shared),
    }
    scheduler: Scheduler = makers[config.schedule]()
    scheduler.step_update(0)
    return scheduler


def load_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    """Load *state* into *optimizer*, except options that a resumed run may change, which stay as configured."""
    kept = [{key: group[key] for key in CHANGEABLE if key in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, options in zip(optimizer.param_groups, kept, strict=True):
        group.update(options)
