"""Registered corruptions, by the names and options that recipes give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from umzoo.corruptions.pipeline import Pipeline
from umzoo.plugins import Zoo
from umzoo.plugins import zoo as installed
from umzoo.spec import ComponentSpec


def build_corruptions(
    specs: Iterable[ComponentSpec | Mapping[str, Any] | str], where: str = "corruptions", zoo: Zoo | None = None
) -> Pipeline:
    """Return the corruptions that *specs* name; called with an image and an ``Rng`` it applies them in this order.

    Args:
        specs: such as ``{"name": "flip", "p": 0.5}``.
        where: dotted path of the option that holds them, for errors.
        zoo: where they are found; None is what is installed.

    Raises:
        UnknownNameError: if there is no such corruption.
        ConfigError: if an option of one is wrong.
    """
    registry = (zoo or installed()).corruptions
    parsed = [ComponentSpec.parse({"name": spec} if isinstance(spec, str) else dict(spec), where) for spec in specs]
    return Pipeline([registry.build(spec, f"{where}.{spec.name}") for spec in parsed])
