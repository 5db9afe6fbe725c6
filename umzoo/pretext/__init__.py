"""Pretext tasks: losses computed without labels."""

from __future__ import annotations

from umzoo.hookspecs import Register, hookimpl


@hookimpl
def register_pretext_tasks(register: Register) -> None:
    """Register the three tasks of the Universal Model, and ``vox2vec``."""
    from umzoo.pretext.modality import ModalityAdversarial
    from umzoo.pretext.restoration import Restoration
    from umzoo.pretext.scale import ScaleClassification
    from umzoo.pretext.vox2vec import Vox2Vec

    for task in (Restoration, ScaleClassification, ModalityAdversarial, Vox2Vec):
        register(task)
