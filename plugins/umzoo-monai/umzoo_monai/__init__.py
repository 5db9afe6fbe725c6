"""MONAI for umzoo: Swin UNETR and UNETR as backbones, array transforms as a corruption, published weights."""

from __future__ import annotations

from typing import Any

import umzoo


@umzoo.hookimpl
def register_backbones(register: Any) -> None:
    """Register the networks."""
    from umzoo_monai.swin import SwinUNETR, SwinViT
    from umzoo_monai.unetr import UNETR

    for backbone in (SwinUNETR, SwinViT, UNETR):
        register(backbone)


@umzoo.hookimpl
def register_corruptions(register: Any) -> None:
    """Register the corruption."""
    from umzoo_monai.transform import MonaiTransform

    register(MonaiTransform)


@umzoo.hookimpl
def register_importers(register: Any) -> None:
    """Register the importer."""
    from umzoo_monai.importer import MonaiSwinImporter

    register(MonaiSwinImporter)


@umzoo.hookimpl
def register_weights(register: Any) -> None:
    """Register the public checkpoints."""
    from umzoo_monai.public import public_checkpoints

    for entry in public_checkpoints():
        register(entry)
