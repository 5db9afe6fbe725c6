"""Says which component failed, and where in its code."""

from __future__ import annotations

import os
import pickle
import random
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

import umzoo
from umzoo.errors import ComponentError, UmzooError, in_one_line
from umzoo.fields import Fields

FOREIGN = tuple(f"{Path(package.__file__ or '').parent}{os.sep}" for package in (torch, umzoo))
"""Folders whose lines are not the component's own."""


@contextmanager
def blame(component: str, method: str, fields: Fields, hint: str = "") -> Iterator[None]:
    """Name *component* and the line of its code in what is raised inside; errors of umzoo's stay as they are.

    Args:
        component: such as ``pretext task 'rotation'``.
        method: what is being called.
        fields: what it was given, to be listed where a field is missing.
        hint: what to try if something was None.

    Raises:
        ComponentError: from whatever else was raised.
    """
    try:
        yield
    except UmzooError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {in_one_line(error)}"
        if isinstance(error, KeyError):
            text += f" (fields here: {', '.join(sorted(fields))})"
        if hint and "None" in text:
            text += f" ({hint})"
        raise ComponentError(f"{component} failed in {method}, {_place(error)}: {text}") from error


@contextmanager
def global_draws(look: bool = True) -> Iterator[list[str]]:
    """Collect, in the list it gives, the global random states that are drawn from inside; none unless *look*."""
    drawn: list[str] = []
    before = _states() if look else {}
    yield drawn
    drawn += [name for name, state in (_states() if look else {}).items() if state != before[name]]


def _states() -> dict[str, object]:
    return {
        "torch's global random state": torch.get_rng_state().numpy().tobytes(),
        "numpy's global random state": pickle.dumps(np.random.get_state()),
        "Python's global random state": random.getstate(),
    }


def _place(error: Exception) -> str:
    """File and line of the last frame that is neither umzoo's nor torch's; of the last one if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(FOREIGN)]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name} line {frame.lineno}"
