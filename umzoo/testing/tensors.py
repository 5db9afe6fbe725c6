"""What checks do with tensors and modules."""

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
    """A block in which *tensors* and torch's global random state are watched.

    Attributes:
        changed: names of the tensors that changed in it.
        drew: whether it drew from the global random state of the CPU.
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
    """A block in which torch's global draws start from *seed*; the state before comes back after it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def require_unchanged(checks: Checks, *watches: Watch) -> None:
    """Inputs must be left as they were."""
    changed = sorted({name for watch in watches for name in watch.changed})
    checks.require(not changed, f"changes its input in place: {', '.join(changed)}")


def require_own_draws(checks: Checks, *watches: Watch) -> None:
    """Nothing may be drawn from torch's global state."""
    drew = any(watch.drew for watch in watches)
    checks.require(not drew, "draws from torch's global random state, not from rng")


def require_unit(checks: Checks, image: Tensor) -> None:
    """Images lie in [0, 1]."""
    low, high = float(image.min()), float(image.max())
    checks.require(low >= -1e-6 and high <= 1 + 1e-6, f"images must stay in [0, 1], got [{low:g}, {high:g}]")


def require_finite(checks: Checks, *tensors: Tensor | None) -> None:
    """No tensor holds NaN or infinity."""
    finite = all(bool(tensor.isfinite().all()) for tensor in tensors if tensor is not None)
    checks.require(finite, "the result must be finite")


def require_close(checks: Checks, first: Tensor, second: Tensor, complaint: str) -> None:
    """Two results differ by no more than rounding does."""
    first, second = first.detach().float(), second.detach().float().to(first.device)
    close = first.shape == second.shape and torch.allclose(first, second, atol=1e-3, rtol=1e-3, equal_nan=True)
    checks.require(close, complaint)


def require_gradients(checks: Checks, module: nn.Module, parts: tuple[str, ...] = ("",)) -> None:
    """Every parameter under *parts* that is trained has a gradient; distributed training would wait for the others."""
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    idle = [name for name, value in trained.items() if value.grad is None and name.startswith(parts)]
    checks.require(not idle, f"no gradient reaches {', '.join(idle)}")


def require_round_trip(checks: Checks, module: nn.Module, twin: nn.Module) -> None:
    """The state of *module* goes into *twin* whole."""
    twin.load_state_dict(module.state_dict())
    kept = equal(dict(module.state_dict()), dict(twin.state_dict()))
    checks.require(kept, "its state must survive a round trip")


def same(first: Tensor, second: Tensor) -> bool:
    """Whether both hold the same numbers; NaN equals NaN."""
    return torch.equal(first.nan_to_num(nan=0.5), second.nan_to_num(nan=0.5))


def equal(first: Fields, second: Fields) -> bool:
    """Whether both hold the same tensors under the same names."""
    return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)


def cuda() -> torch.device:
    """Return the CUDA device.

    Raises:
        NotApplicableError: if there is none.
    """
    if not torch.cuda.is_available():
        raise NotApplicableError("no CUDA device")
    return torch.device("cuda")
