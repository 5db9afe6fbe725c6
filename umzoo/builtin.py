"""The built-in plug-ins. They are listed here, not discovered, so a plain checkout finds them too."""

from __future__ import annotations

BUILTINS = {
    "backbones": "umzoo.backbones",
    "corruptions": "umzoo.corruptions",
    "pretext": "umzoo.pretext",
    "heads": "umzoo.heads",
    "importers": "umzoo.weights.importers",
    "weights": "umzoo.weights.catalog.public",
}
"""Plug-in name to the module that implements its hooks."""

PACKAGES = {
    "simclr": "umzoo-contrastive",
    "voco": "umzoo-contrastive",
    "dino": "umzoo-distillation",
    "jepa": "umzoo-distillation",
    "distillation": "umzoo-distillation",
    "mae": "umzoo-mae",
    "swin_unetr": "umzoo-monai",
    "swin_vit": "umzoo-monai",
    "unetr": "umzoo-monai",
    "segresnet": "umzoo-monai",
    "segresnet_ds": "umzoo-monai",
    "monai_swin": "umzoo-monai",
    "monai_segresnet": "umzoo-monai",
    "monai_transform": "umzoo-monai",
    "jigsaw": "umzoo-puzzle",
    "rubik": "umzoo-puzzle",
    "rotation": "umzoo-rotation",
    "timm": "umzoo-timm",
    "volume_fusion": "umzoo-volumefusion",
}
"""Components of the other packages of this repository, and the package to install for each."""
