"""Registries: the components of all plug-ins, by kind and name."""

from __future__ import annotations

import fnmatch
import inspect
from abc import ABC
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from typing_extensions import Self

from umzoo.config import Config as Options
from umzoo.errors import ConfigError, PluginError, UnknownNameError, nearest
from umzoo.spec import ComponentSpec

T = TypeVar("T")


class Component(ABC):  # noqa: B024 - the kinds below it add the abstract methods
    """Base class of everything that a plug-in registers.

    Subclasses set ``name`` (lower_snake_case, unique within its kind) and may replace ``Config``
    by their own options. ``build`` makes an instance from validated options.
    """

    name: ClassVar[str] = ""
    Config: ClassVar[type[Options]] = Options
    kind: ClassVar[str] = "component"
    """The kind in messages; set by the base class of each kind."""
    package: ClassVar[str] = ""
    """The package that registers it; set when its plug-in is loaded."""

    @classmethod
    def build(cls, options: Any, **context: Any) -> Self:
        """Make an instance; *options* is an instance of ``cls.Config``."""
        make: Any = cls
        instance: Self = make(options, **context)
        return instance

    @classmethod
    def called(cls, label: str = "") -> str:
        """Return its name in messages, such as ``pretext task 'rotation' of umzoo-rotation``.

        Args:
            label: its name in a recipe, if it differs.
        """
        origin = f" of {cls.package}" if cls.package not in ("", "umzoo") else ""
        return f"{cls.kind} '{label or cls.name}'{origin}"


class Registry(Generic[T]):
    """Entries of one kind by name, each with the plug-in that registered it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._owners: dict[str, str] = {}
        self._broken: dict[str, str] = {}
        self.failed_plugins: list[str] = []
        self.elsewhere: Mapping[str, str] = {}
        """Packages of this repository by the names of their entries, for packages that are not installed."""

    def add(self, name: str, entry: T, owner: str) -> None:
        """Add *entry* under *name*.

        Raises:
            PluginError: if another plug-in already holds the name.
        """
        if name in self._entries:
            raise PluginError(
                f"{self.kind} '{name}' is registered by both '{self._owners[name]}' and '{owner}':"
                f" rename one, or choose with UMZOO_PLUGINS"
            )
        self._entries[name] = entry
        self._owners[name] = owner
        self._broken.pop(name, None)

    def mark_broken(self, name: str, reason: str) -> None:
        """Record that *name* belongs to a plug-in that failed to load, for the error when it is requested."""
        self._broken[name] = reason

    def list(self, pattern: str = "*") -> list[str]:
        """Return the usable names matching a shell *pattern* such as ``"resenc*"``, sorted."""
        return sorted(fnmatch.filter(self._entries.keys() - self._broken.keys(), pattern))

    def owner(self, name: str) -> str:
        """Return the name of the plug-in that registered *name*."""
        return self._owners[name]

    def summary(self, name: str) -> str:
        """Return a one-line summary of entry *name*: its ``description``, or the first paragraph of its docstring."""
        entry = self[name]
        documented = entry.__doc__ if isinstance(entry, type) else None
        text = getattr(entry, "description", "") or inspect.cleandoc(documented or "")
        return " ".join(text.partition("\n\n")[0].split()).replace("``", "`")

    def __getitem__(self, name: str) -> T:
        if name in self._broken:
            raise PluginError(f"{self.kind} '{name}' is unavailable: {self._broken[name]}")
        if name in self._entries:
            return self._entries[name]
        if (package := self.elsewhere.get(name)) and not self.failed_plugins:
            raise UnknownNameError(
                f"{self.kind} '{name}' comes with the package {package}, which is not installed: pip install {package},"
                f" or the folder plugins/{package} of umzoo's repository"
            )
        hint = nearest(name, self._entries) or f" (known: {', '.join(self.list()) or 'none'})"
        if self.failed_plugins:
            hint += f"; not loaded: {', '.join(self.failed_plugins)} (see 'umzoo plugins')"
        raise UnknownNameError(f"unknown {self.kind} '{name}'{hint}")

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.list())

    def __len__(self) -> int:
        return len(self._entries)

    def options(self, spec: ComponentSpec | Mapping[str, Any] | str, where: str = "") -> tuple[Any, Options]:
        """Return the class named by *spec* and its validated options.

        Raises:
            UnknownNameError: if no entry has the name.
            ConfigError: if an option is unknown or has a wrong value.
        """
        if isinstance(spec, str):
            spec = {"name": spec}
        if not isinstance(spec, ComponentSpec | Mapping):
            expected = f"a name or a table such as {{'name': ...}} of a registered {self.kind}"
            raise ConfigError(f"'{where or self.kind}': expected {expected}, got {type(spec).__name__}")
        if not isinstance(spec, ComponentSpec):
            spec = ComponentSpec.parse(spec, where)
        component: Any = self[spec.name]
        if not (isinstance(component, type) and issubclass(component, Component)):
            raise ConfigError(f"{self.kind} '{spec.name}' is a record and cannot be built")
        return component, component.Config.parse(spec.options, where or f"{self.kind} {spec.name}")

    def build(self, spec: ComponentSpec | Mapping[str, Any] | str, where: str = "", **context: Any) -> Any:
        """Build the component named by *spec*; *context* is passed to its ``build``.

        Raises:
            UnknownNameError: if no entry has the name.
            ConfigError: if an option is unknown or has a wrong value.
        """
        component, options = self.options(spec, where)
        return component.build(options, **context)
