"""The hooks that a plug-in may implement. Every hook receives ``register`` and calls it once per entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

PROJECT = "umzoo"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

INTERFACE = 1
"""Version of the plug-in interface: base classes, hooks and fields. Increased after a breaking change."""

OLDEST_INTERFACE = 1
"""Plug-ins for older versions are refused; those in between load with a warning, for one release."""

CHANGES: dict[int, str] = {}
"""Version to the changes that a plug-in has to make from the previous one, as a clause."""

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
