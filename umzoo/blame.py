"""Reports which component failed, its package, and the line of its code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from umzoo.errors import ComponentError, UmzooError, in_one_line
from umzoo.registry import Component

OWN = str(Path(__file__).parent) + os.sep
"""The folder of umzoo's own code."""


@contextmanager
def blame(component: str, method: str, fields: Iterable[str] = (), hint: str = "") -> Iterator[None]:
    """Convert exceptions to a one-line error that names the component, the method and the line of its code.

    Errors of umzoo pass unchanged. If the exception comes from another component of a plug-in, such as the backbone
    that a task calls, the error names that component.

    Args:
        component: such as ``pretext task 'rotation'``.
        method: the called method.
        fields: the fields passed to the method, to be listed if one is missing.
        hint: advice for the case that something was None.

    Raises:
        ComponentError: from any other exception.
    """
    try:
        yield
    except UmzooError:
        raise
    except Exception as error:
        found = at_fault(error)
        raise ComponentError(_sentence(*(found or (component, method)), error, fields, hint)) from error


@contextmanager
def named_plugins() -> Iterator[None]:
    """Convert exceptions of plug-ins' components to one-line errors that name them; other exceptions pass unchanged.

    Raises:
        ComponentError: from an exception of a plug-in's component.
    """
    try:
        yield
    except UmzooError:
        raise
    except Exception as error:
        if (line := explained(error)) is None:
            raise
        raise ComponentError(line) from error


def explained(error: Exception) -> str | None:
    """Return a one-line message for *error* if it comes from the code of a plug-in's component, else None."""
    found = at_fault(error)
    return None if found is None else _sentence(*found, error)


def at_fault(error: BaseException) -> tuple[str, str] | None:
    """Return the innermost component of a plug-in in the traceback of *error*, and its method.

    None if there is none, or if the innermost component is one of umzoo's own.
    """
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if (kind := _component(frame)) is not None:
            return (kind.called(), frame.f_code.co_name) if kind.package not in ("", "umzoo") else None
    return None


def _component(frame: FrameType) -> type[Component] | None:
    """The class of the component whose method runs in *frame*."""
    values = frame.f_locals
    owner = values.get("self", values.get("cls"))
    kind = owner if isinstance(owner, type) else type(owner)
    return kind if issubclass(kind, Component) else None


def _sentence(component: str, method: str, error: Exception, fields: Iterable[str] = (), hint: str = "") -> str:
    text = f"{type(error).__name__}: {in_one_line(error)}"
    if isinstance(error, KeyError) and (known := sorted(fields)):
        text += f" (fields here: {', '.join(known)})"
    if hint and "None" in text:
        text += f" ({hint})"
    return f"{component} failed in {method}, {_place(error)}: {text}"


def _place(error: Exception) -> str:
    """File and line of the last frame outside of umzoo and torch; of the last frame if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(others())]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name} line {frame.lineno}"


def others() -> tuple[str, ...]:
    """Return the folders that hold no code of plug-ins: umzoo's, and torch's if it is imported."""
    torch = getattr(sys.modules.get("torch"), "__file__", None)
    return (OWN, str(Path(torch).parent) + os.sep) if torch else (OWN,)
