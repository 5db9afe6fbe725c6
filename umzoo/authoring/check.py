"""Conformance report on the components of plug-ins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from umzoo.errors import PluginError, UmzooError, nearest
from umzoo.plugins import Plugin, zoo
from umzoo.testing import CHECKS, ConformanceError
from umzoo.testing.promises import Checks, NotApplicableError, Promise, UnreachedError

Outcome = Literal["yes", "no", "refused", "n/a", "unknown"]
Announce = Callable[[str, str], object]
"""Callback with the names of the next component and check."""
NOTE = 300
"""Maximum number of characters of a note."""


@dataclass(frozen=True)
class Result:
    """The outcome of one check of one component; *note* gives the reason if it is not ``yes``.

    ``refused``: the component declares by an UmzooError that it does not support this, which is permitted.
    ``n/a``: the promise does not apply to this component, or cannot be checked on this machine.
    ``unknown``: a prerequisite of the check is missing.
    """

    kind: str
    component: str
    check: str
    outcome: Outcome
    note: str = ""
    seconds: float = 0.0

    @property
    def subject(self) -> tuple[str, str]:
        """Kind and name of the component."""
        return self.kind, self.component


def check_plugins(name: str | None = None, announce: Announce = lambda component, check: None) -> Iterator[Result]:
    """Check all components of plug-in *name*, or of all plug-ins except umzoo; call *announce* before each check.

    Raises:
        PluginError: if there is no such plug-in, or it was not loaded.
    """
    for plugin in _chosen(name):
        for kind, entries in plugin.entries.items():
            for entry in entries:
                yield from check_entry(kind, CHECKS[kind](zoo().registries[kind][entry]), announce)


def check_entry(kind: str, checks: Checks, announce: Announce = lambda component, check: None) -> Iterator[Result]:
    """Check every promise of one component, also after a broken one."""
    for promise in checks.promises():
        announce(checks.name, promise.title)
        began = time.perf_counter()
        outcome, note = _outcome(promise, checks)
        note = " ".join(note.split()).removeprefix(f"{checks.name}: ")[:NOTE]
        yield Result(kind, checks.name, promise.title, outcome, note, time.perf_counter() - began)


def _chosen(name: str | None) -> list[Plugin]:
    if name is None:
        return [plugin for plugin in zoo().plugins if plugin.origin != "umzoo" and not plugin.reason]
    found = [plugin for plugin in zoo().plugins if name in (plugin.name, plugin.origin)]
    if not found:
        known = [plugin.name for plugin in zoo().plugins]
        raise PluginError(f"no plug-in '{name}'{nearest(name, known)}: install its package, see 'umzoo plugins'")
    for plugin in found:
        if plugin.reason:
            raise PluginError(f"plug-in '{plugin.name}' was not loaded: {plugin.reason}")
    return found


def _outcome(promise: Promise, checks: Checks) -> tuple[Outcome, str]:
    try:
        promise.check(checks)
    except NotApplicableError as error:
        return "n/a", str(error)
    except UnreachedError as error:
        return "unknown", str(error)
    except ConformanceError as error:
        return "no", str(error)
    except UmzooError as error:
        return "refused" if promise.may_refuse else "no", str(error)
    except Exception as error:  # noqa: BLE001 - a component may raise anything
        return "no", f"{type(error).__name__}: {error}"
    return "yes", ""
