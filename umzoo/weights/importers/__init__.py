"""Importers convert other projects' checkpoints to weights folders."""

from __future__ import annotations

from umzoo.hookspecs import Register, hookimpl


@hookimpl
def register_importers(register: Register) -> None:
    """Register the built-in importers."""
    from umzoo.weights.importers.amaes import AmaesImporter
    from umzoo.weights.importers.anatomix import AnatomixImporter
    from umzoo.weights.importers.medicalnet import MedicalNetImporter
    from umzoo.weights.importers.merlin import MerlinImporter
    from umzoo.weights.importers.models_genesis import ModelsGenesisImporter
    from umzoo.weights.importers.nnssl import NnsslImporter
    from umzoo.weights.importers.nnunet import NnunetImporter
    from umzoo.weights.importers.vit3d import ViT3DImporter

    projects = (
        MedicalNetImporter,
        ModelsGenesisImporter,
        NnsslImporter,
        AnatomixImporter,
        AmaesImporter,
        MerlinImporter,
    )
    for importer in (*projects, NnunetImporter, ViT3DImporter):
        register(importer)
