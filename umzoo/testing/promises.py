"""Base of all conformance checks: small named promises."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from umzoo.config import Config
from umzoo.errors import UmzooError
from umzoo.plugins import zoo

T = TypeVar("T")
_FAILED = object()


class ConformanceError(UmzooError, AssertionError):
    """A component breaks a promise of its kind."""


class NotApplicableError(Exception):
    """The promise does not apply to this component, or cannot be checked on this machine."""


class UnreachedError(Exception):
    """A prerequisite of a check is missing because an earlier check failed."""


@dataclass(frozen=True)
class Promise:
    """One promise of a kind of component.

    Attributes:
        title: name of the promise.
        check: raises :class:`ConformanceError` if the promise is broken.
        may_refuse: whether the component may declare by an UmzooError that it does not support this.
    """

    title: str
    check: Callable[[Any], None]
    may_refuse: bool = False


def promise(title: str, may_refuse: bool = False) -> Callable[[Callable[[Any], None]], Promise]:
    """Make a method of :class:`Checks` a promise."""
    return lambda check: Promise(title, check, may_refuse)


class made_once(Generic[T]):  # noqa: N801 - a decorator, as functools.cached_property
    """A cached property. If its first computation fails, later reads raise :class:`UnreachedError`."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    def __get__(self, checks: Any, owner: type | None = None) -> T:
        made: dict[made_once[Any], Any] = vars(checks).setdefault("_made", {})
        if self not in made:
            made[self] = _FAILED
            made[self] = self.make(checks)
        if made[self] is _FAILED:
            raise UnreachedError(f"needs {(self.__doc__ or '').lower().rstrip('.')}, see above")
        value: T = made[self]
        return value


class Checks:
    """The promises of one kind of component, in the order of their checks."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def promises(cls) -> list[Promise]:
        """Return the promises, with those of base classes first."""
        members = [member for base in reversed(cls.__mro__) for member in vars(base).values()]
        return [member for member in members if isinstance(member, Promise)]

    def run(self, *titles: str) -> None:
        """Check the promises *titles*, or all.

        Raises:
            ConformanceError: on the first broken promise.
        """
        for it in self.promises():
            if not titles or it.title in titles:
                self._run(it)

    def _run(self, it: Promise) -> None:
        """Check one; what it may refuse, or says nothing about this component, is not a break."""
        try:
            it.check(self)
        except NotApplicableError:
            return
        except UmzooError as error:
            if isinstance(error, ConformanceError) or not it.may_refuse:
                raise

    def require(self, holds: object, complaint: str) -> None:
        """Raise :class:`ConformanceError` with *complaint* unless *holds*."""
        if not holds:
            raise ConformanceError(f"{self.name}: {complaint}")


class ComponentChecks(Checks):
    """Promises of every component.

    Args:
        component: the class, or its registered name.
        options: options to build it with.
    """

    kind: ClassVar[str]

    def __init__(self, component: type[Any] | str, options: Mapping[str, Any] | None = None) -> None:
        known = zoo().registries[self.kind]
        self.component: type[Any] = known[component] if isinstance(component, str) else component
        self.options = options or {}
        super().__init__(self.component.name or self.component.__name__)

    @made_once
    def config(self) -> Config:
        """Its options."""
        parsed: Config = self.component.Config.parse(self.options)
        return parsed

    @made_once
    def built(self) -> Any:
        """The component."""
        return self.build()

    def build(self) -> Any:
        """Build the component."""
        return self.component.build(self.config)

    @promise("name and docstring")
    def _name(self) -> None:
        name = self.component.name
        self.require(re.fullmatch(r"[a-z][a-z0-9_]*", name), f"name must be lower_snake_case: {name!r}")
        self.require(self.component.__doc__, "needs a docstring")

    @promise("options documented")
    def _documented(self) -> None:
        bare = [name for name, field in self.component.Config.model_fields.items() if not field.description]
        self.require(not bare, f"options need a description: {', '.join(bare)}")

    @promise("unknown options refused")
    def _closed(self) -> None:
        config = self.component.Config.model_config
        self.require(config.get("extra") == "forbid", "its Config must reject unknown keys (extra='forbid')")

    @promise("builds")
    def _builds(self) -> None:
        self.require(self.built is not None, "build must return the component, got None")
