"""umzoo: a plugin-based model zoo for self-supervised 3D medical image analysis.

Importing this package imports neither torch nor plug-ins; names are resolved on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "Backbone": "umzoo.backbones.base",
    "BackboneInfo": "umzoo.backbones.base",
    "Features": "umzoo.backbones.base",
    "Level": "umzoo.backbones.base",
    "ComponentSpec": "umzoo.spec",
    "Config": "umzoo.config",
    "Corruption": "umzoo.corruptions.base",
    "Fields": "umzoo.fields",
    "Rng": "umzoo.fields",
    "Head": "umzoo.heads.base",
    "PretextContext": "umzoo.pretext.base",
    "PretextTask": "umzoo.pretext.base",
    "build_corruptions": "umzoo.pretext.corruptions",
    "UmzooError": "umzoo.errors",
    "hookimpl": "umzoo.hookspecs",
    "create_model": "umzoo.api",
    "from_pretrained": "umzoo.api",
    "list_models": "umzoo.api",
    "embed": "umzoo.downstream.embed.vectors",
    "load_scan": "umzoo.scans.load",
    "Scan": "umzoo.scans.scan",
    "InputSpec": "umzoo.spec",
    "push_to_hub": "umzoo.api",
    "sign_folder": "umzoo.weights.signing.signer",
    "Signer": "umzoo.weights.signing.signer",
    "verify": "umzoo.hub.pulling.verify",
    "save_pretrained": "umzoo.api",
    "transfer": "umzoo.api",
    "TransferReport": "umzoo.weights.transfer",
    "TransferRules": "umzoo.weights.transfer",
}

__all__ = ["__version__", *_EXPORTS]


_MODULES = ("plugins", "testing")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"umzoo.{name}")
    if name not in _EXPORTS:
        raise AttributeError(f"module 'umzoo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted((*__all__, *_MODULES))
