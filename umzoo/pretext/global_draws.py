"""Detects the use of global random states."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def global_draws(look: bool = True) -> Iterator[list[str]]:
    """Yield a list to which the names of used global random states are added at exit; it stays empty unless *look*."""
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
