"""The plug-ins that ship with umzoo. They are listed, not discovered, so a plain checkout finds them too."""

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
