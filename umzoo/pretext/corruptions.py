"""Builds pipelines of registered corruptions from their names and options."""

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
    """Return the pipeline of the corruptions *specs*; called with an image and an ``Rng``, it applies them in order.

    Args:
        specs: corruptions such as ``{"name": "flip", "p": 0.5}``.
        where: dotted path of the option that holds them, for error messages.
        zoo: registries of components; None uses all installed ones.

    Raises:
        UnknownNameError: if there is no such corruption.
        ConfigError: if an option of one is wrong.
    """
    registry = (zoo or installed()).corruptions
    parsed = [ComponentSpec.parse({"name": spec} if isinstance(spec, str) else dict(spec), where) for spec in specs]
    return Pipeline([registry.build(spec, f"{where}.{spec.name}") for spec in parsed])
