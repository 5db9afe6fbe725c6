"""Averages metrics of all processes between two log lines, without synchronizing the device in between."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def _alone(mine: Any) -> Sequence[Any]:
    return [mine]


class Meter:
    """Collects metrics: scalars, or one number per item with NaN for ignored items."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}
        self._since = time.perf_counter()
        self._items = 0

    def add(self, metrics: dict[str, Tensor], items: int) -> None:
        """Add the metrics of a batch of *items* items."""
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value.detach().reshape(-1))
        self._items += items

    def flush(self, waited: float, gather: Callable[[Any], Sequence[Any]] = _alone) -> dict[str, float]:
        """Return the means since the last call, the speed, and *waited* seconds as a fraction of the time.

        *gather* returns the arguments of all processes, each of which must call this method.
        """
        seconds = max(time.perf_counter() - self._since, 1e-9)
        sums = {name: _sum_and_count(torch.cat(values).double()) for name, values in self._values.items()}
        everyone = gather((sums, self._items, min(1.0, waited / seconds)))
        means = {name: _mean([theirs[name] for theirs, _, _ in everyone if name in theirs]) for name in sums}
        means["patches_per_second"] = sum(items for _, items, _ in everyone) / seconds
        means["wait"] = sum(wait for _, _, wait in everyone) / len(everyone)
        self.__init__()  # type: ignore[misc]
        return means


def _sum_and_count(values: Tensor) -> tuple[float, int]:
    """Return sum and count of values that are not NaN."""
    return float(values.nansum()), int((~values.isnan()).sum())


def _mean(parts: Sequence[tuple[float, int]]) -> float:
    count = sum(number for _, number in parts)
    return sum(total for total, _ in parts) / count if count else math.nan
