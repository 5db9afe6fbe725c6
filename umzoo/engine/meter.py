"""Averages metrics between two log lines without waiting for the device."""

from __future__ import annotations

import time

import torch
from torch import Tensor


class Meter:
    """Collects metrics, each a scalar or one number per item with NaN for items that do not count."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}
        self._since = time.perf_counter()
        self._items = 0

    def add(self, metrics: dict[str, Tensor], items: int) -> None:
        """Add the metrics of a batch of *items* items."""
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value.detach().reshape(-1))
        self._items += items

    def flush(self, waited: float, processes: int = 1) -> dict[str, float]:
        """Return the means since the last call, with the speed and *waited* seconds as a share of the time."""
        means = {name: float(torch.cat(values).float().nanmean()) for name, values in self._values.items()}
        seconds = max(time.perf_counter() - self._since, 1e-9)
        means["patches_per_second"] = self._items * processes / seconds
        means["wait"] = min(1.0, waited / seconds)
        self.__init__()  # type: ignore[misc]
        return means
