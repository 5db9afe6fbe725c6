"""Typed options that refuse unknown keys: pydantic models whose errors name the dotted path and the nearest key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from umzoo.errors import ConfigError, in_one_line, nearest

BRITISH = {"licence": "license", "licence_link": "license_link"}
"""Keys in files of earlier versions, and their current names."""
EXPECTED = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table such as { key = value }",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
}
"""Expected values in plain words, by pydantic's type of error."""


Seed = Annotated[int, Field(ge=0, lt=2**31)]
"""A seed, which all random number generators can take."""
Count = Annotated[int, Field(ge=1, le=100_000)]
"""A number of channels, blocks or heads of a network."""


class Config(BaseModel):
    """Base class of all options. Unknown keys are errors, instances are frozen, defaults are validated.

    Define every option as a field with ``Field(description=...)``; help and documentation use the description.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _read_old_spelling(cls, options: Any) -> Any:
        old = BRITISH.keys() & options.keys() - cls.model_fields.keys() if isinstance(options, dict) else set()
        return {BRITISH[key] if key in old else key: value for key, value in options.items()} if old else options

    @classmethod
    def parse(cls, options: Mapping[str, Any], where: str = "") -> Self:
        """Validate *options*; *where* is their dotted path.

        Raises:
            ConfigError: one line per problem, each with its dotted path.
        """
        if not isinstance(options, Mapping):
            raise ConfigError(f"'{where}': expected a table, got {type(options).__name__}")
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            raise ConfigError("; ".join(_explain(cls, it, where) for it in _causes(error.errors()))) from None


def _causes(problems: Sequence[Any]) -> list[Any]:
    """*problems* without those of a whole list or table that are caused by one of its entries."""
    places = {problem["loc"][:length] for problem in problems for length in range(len(problem["loc"]))}
    return [problem for problem in problems if problem["loc"] not in places]


def _explain(model: type[BaseModel], problem: Any, where: str) -> str:
    path = ".".join(str(part) for part in ([where] if where else []) + list(problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = _keys_at(model, problem["loc"][:-1])
        hint = nearest(str(problem["loc"][-1]), known) or f" (known: {', '.join(known) or 'none'})"
        return f"unknown key '{path}'{hint}"
    if problem["type"] == "missing":
        return f"missing key '{path}'"
    if problem["type"] == "model_type":
        return f"'{path}': expected a table such as {{ name = \"...\" }}, got {_brief(problem)}"
    if problem["type"] in EXPECTED:
        return f"'{path}': expected {EXPECTED[problem['type']]}{_example(model, problem)}, got {_brief(problem)}"
    if problem["type"] == "value_error":
        return f"'{path}': {problem['ctx']['error']}" if path else str(problem["ctx"]["error"])
    message = problem["msg"].lower().replace("tuple", "list").replace(" after validation", "")
    return f"'{path}': {message}, got {_brief(problem)}"


def _example(model: type[BaseModel], problem: Any) -> str:
    """`` such as [64, 64, 64]``: the default of the wrong option, if it is a list of plain values."""
    field = _field_at(model, problem["loc"])
    default = getattr(field, "default", None)
    if problem["type"] != "tuple_type" or not isinstance(default, tuple) or not default:
        return ""
    if isinstance(default[0], Mapping | BaseModel):
        return ""
    return f" such as {list(default)}"


def _brief(problem: Any) -> str:
    """The wrong value, truncated if it is long."""
    try:
        return in_one_line(repr(problem["input"]), 200)
    except RecursionError:
        return "a value that is nested too deeply"


def _keys_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys accepted by the model found by following *location* from *model*."""
    field = _field_at(model, location)
    current = model if field is None else model_in(field.annotation)
    return [field.alias or name for name, field in getattr(current, "model_fields", {}).items()]


def _field_at(model: type[BaseModel], location: tuple[Any, ...]) -> Any:
    """The field found by following *location* from *model*; None if there is none."""
    current: Any = model
    found = None
    for part in location:
        field = getattr(current, "model_fields", {}).get(part)
        if field is not None:
            current, found = model_in(field.annotation), field
    return found


def model_in(annotation: Any) -> Any:
    """Return the first pydantic model inside *annotation*, such as ``list[Model]`` or ``Model | None``; else None."""
    parts = get_args(annotation)  # Python 3.10 takes tuple[int, ...] for a class
    if not parts and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(model_in, parts) if found is not None), None)
