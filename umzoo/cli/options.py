"""Options of components and recipes in words: name, default, meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from umzoo.config import Config


def describe(config: type[Config]) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Yield name, default as JSON (or ``none``, ``required``), meaning and choices of each option."""
    for name, field in config.model_fields.items():
        yield field.alias or name, _default(field), field.description or "", _choices(field.annotation)


def _default(field: Any) -> str:
    from pydantic_core import PydanticUndefined, to_jsonable_python

    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    return "none" if default is None else json.dumps(to_jsonable_python(default, by_alias=True))


def _choices(annotation: Any) -> tuple[str, ...]:
    """The choices of a ``Literal`` or an optional one; empty for other types."""
    united = get_origin(annotation) in (Union, UnionType)
    kinds = [kind for kind in (get_args(annotation) if united else [annotation]) if kind is not NoneType]
    if any(get_origin(kind) is not Literal for kind in kinds):
        return ()
    return tuple(str(choice) for kind in kinds for choice in get_args(kind))
