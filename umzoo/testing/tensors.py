"""Checks of tensors and modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import torch
from torch import Tensor, nn
from typing_extensions import Self

from umzoo.fields import Fields
from umzoo.testing.promises import Checks, NotApplicableError


class Watch:
    """Detects changes of *tensors* and use of torch's global random state while it is entered.

    Attributes:
        changed: names of the changed tensors.
        drew: whether the global random state of the CPU was used.
    """

    def __init__(self, **tensors: Tensor) -> None:
        self.tensors = tensors
        self.changed: list[str] = []
        self.drew = False

    def __enter__(self) -> Self:
        self._copies = {name: value.clone() for name, value in self.tensors.items()}
        self._state = torch.get_rng_state()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.changed = [name for name, value in self.tensors.items() if not same(value, self._copies[name])]
        self.drew = not torch.equal(self._state, torch.get_rng_state())


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Set torch's global random state to *seed* in a block, and restore the earlier state after it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def require_unchanged(checks: Checks, *watches: Watch) -> None:
    """Require that inputs are not changed."""
    changed = sorted({name for watch in watches for name in watch.changed})
    checks.require(not changed, f"changes its input in place: {', '.join(changed)}")


def require_own_draws(checks: Checks, *watches: Watch) -> None:
    """Require that torch's global random state is not used."""
    drew = any(watch.drew for watch in watches)
    checks.require(not drew, "draws from torch's global random state, not from rng")


def require_unit(checks: Checks, image: Tensor) -> None:
    """Require that images are in [0, 1]."""
    low, high = float(image.min()), float(image.max())
    checks.require(low >= -1e-6 and high <= 1 + 1e-6, f"images must stay in [0, 1], got [{low:g}, {high:g}]")


def require_finite(checks: Checks, *tensors: Tensor | None) -> None:
    """Require that no tensor holds NaN or infinity."""
    finite = all(bool(tensor.isfinite().all()) for tensor in tensors if tensor is not None)
    checks.require(finite, "the result must be finite")


def require_close(checks: Checks, first: Tensor, second: Tensor, complaint: str) -> None:
    """Require that two results are equal except for rounding."""
    first, second = first.detach().float(), second.detach().float().to(first.device)
    close = first.shape == second.shape and torch.allclose(first, second, atol=1e-3, rtol=1e-3, equal_nan=True)
    checks.require(close, complaint)


def require_gradients(checks: Checks, module: nn.Module, parts: tuple[str, ...] = ("",)) -> None:
    """Require a gradient for every trained parameter under *parts*, as distributed training does."""
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    idle = [name for name, value in trained.items() if value.grad is None and name.startswith(parts)]
    checks.require(not idle, f"no gradient reaches {', '.join(idle)}")


def require_round_trip(checks: Checks, module: nn.Module, twin: nn.Module) -> None:
    """Require that *twin* can load the complete state of *module*."""
    twin.load_state_dict(module.state_dict())
    kept = equal(dict(module.state_dict()), dict(twin.state_dict()))
    checks.require(kept, "its state must survive a round trip")


def same(first: Tensor, second: Tensor) -> bool:
    """Return whether both hold the same numbers; NaN equals NaN."""
    return torch.equal(first.nan_to_num(nan=0.5), second.nan_to_num(nan=0.5))


def equal(first: Fields, second: Fields) -> bool:
    """Return whether both hold the same tensors under the same names."""
    return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)


def cuda() -> torch.device:
    """Return the CUDA device.

    Raises:
        NotApplicableError: if there is none.
    """
    if not torch.cuda.is_available():
        raise NotApplicableError("no CUDA device")
    return torch.device("cuda")
