"""MONAI for umzoo: Swin UNETR, UNETR and SegResNet, array transforms as a corruption, published weights."""

from __future__ import annotations

from typing import Any

import umzoo


@umzoo.hookimpl
def register_backbones(register: Any) -> None:
    """Register the networks."""
    from umzoo_monai.segresnet import SegResNet, SegResNetDS
    from umzoo_monai.swin import SwinUNETR, SwinViT
    from umzoo_monai.unetr import UNETR

    for backbone in (SwinUNETR, SwinViT, UNETR, SegResNet, SegResNetDS):
        register(backbone)


@umzoo.hookimpl
def register_corruptions(register: Any) -> None:
    """Register the corruption."""
    from umzoo_monai.transform import MonaiTransform

    register(MonaiTransform)


@umzoo.hookimpl
def register_importers(register: Any) -> None:
    """Register the importers."""
    from umzoo_monai.importer import MonaiSwinImporter
    from umzoo_monai.segresnet_importer import SegResNetImporter

    for importer in (MonaiSwinImporter, SegResNetImporter):
        register(importer)


@umzoo.hookimpl
def register_weights(register: Any) -> None:
    """Register the public checkpoints."""
    from umzoo_monai.public import public_checkpoints

    for entry in public_checkpoints():
        register(entry)
