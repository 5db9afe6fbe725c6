"""Contrastive methods for umzoo: SimCLR, VoCo and vox2vec."""

from __future__ import annotations

from typing import Any

import umzoo


@umzoo.hookimpl
def register_pretext_tasks(register: Any) -> None:
    """Register ``simclr``, ``vox2vec`` and ``voco``."""
    from umzoo_contrastive.simclr import SimCLR
    from umzoo_contrastive.voco import VoCo
    from umzoo_contrastive.vox2vec import Vox2Vec

    for task in (SimCLR, VoCo, Vox2Vec):
        register(task)
