"""Images, and both ways a corruption can run on the CPU."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from umzoo.fields import Rng
from umzoo.noise import fast


@pytest.fixture
def image() -> torch.Tensor:
    """Six different images (6, 1, 20, 40, 30) in [0, 1]."""
    return Rng(5).uniform((6, 1, 20, 40, 30))


@pytest.fixture(params=["compiled", "tensors"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with numba's loops, and as if numba were not installed."""
    if request.param == "tensors":
        monkeypatch.setattr(fast, "kernels", lambda module: None)
    elif importlib.util.find_spec("numba") is None:
        pytest.skip("numba is not installed")
    return request.param
