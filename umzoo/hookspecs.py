"""The hooks a plug-in may implement. All are alike: they are handed ``register`` and call it per entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

PROJECT = "umzoo"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

INTERFACE = 1
"""Number of the interface that plug-ins are written for: base classes, hooks and fields. Greater after a break."""

OLDEST_INTERFACE = 1
"""Plug-ins for older ones are refused; those in between load with a warning, for one release."""

CHANGES: dict[int, str] = {}
"""What a plug-in has to change to go from the interface before to this one, in a clause."""

Register = Callable[[Any], None]


@hookspec
def register_backbones(register: Register) -> None:
    """Call ``register(cls)`` for each :class:`umzoo.Backbone` subclass."""


@hookspec
def register_corruptions(register: Register) -> None:
    """Call ``register(cls)`` for each :class:`umzoo.Corruption` subclass."""


@hookspec
def register_pretext_tasks(register: Register) -> None:
    """Call ``register(cls)`` for each :class:`umzoo.PretextTask` subclass."""


@hookspec
def register_heads(register: Register) -> None:
    """Call ``register(cls)`` for each :class:`umzoo.Head` subclass."""


@hookspec
def register_weights(register: Register) -> None:
    """Call ``register(entry)`` for each :class:`umzoo.weights.catalog.entry.WeightsEntry`."""


@hookspec
def register_importers(register: Register) -> None:
    """Call ``register(cls)`` for each :class:`umzoo.weights.importers.base.Importer` subclass."""
