"""Contrastive methods for umzoo: SimCLR and VoCo."""

from __future__ import annotations

from typing import Any

import umzoo


@umzoo.hookimpl
def register_pretext_tasks(register: Any) -> None:
    """Register ``simclr`` and ``voco``."""
    from umzoo_contrastive.simclr import SimCLR
    from umzoo_contrastive.voco import VoCo

    for task in (SimCLR, VoCo):
        register(task)
