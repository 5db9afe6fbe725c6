"""Pretext tasks with a teacher for umzoo: DINO with iBOT's masks, JEPA, and distillation of another network."""

from __future__ import annotations

from typing import Any

import umzoo


@umzoo.hookimpl
def register_pretext_tasks(register: Any) -> None:
    """Register ``dino``, ``jepa`` and ``distillation``."""
    from umzoo_distillation.dino import DINO
    from umzoo_distillation.distillation import Distillation
    from umzoo_distillation.jepa import JEPA

    for task in (DINO, JEPA, Distillation):
        register(task)
