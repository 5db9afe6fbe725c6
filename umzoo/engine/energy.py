"""Energy that a GPU takes, where its driver tells (NVML, through the package ``nvidia-ml-py``)."""

from __future__ import annotations

import logging
from typing import Any

import torch

log = logging.getLogger(__name__)

JOULES_PER_KWH = 3.6e6


class EnergyMeter:
    """The energy that *device* has taken since the meter was made.

    NVML counts in mJ since the driver was loaded, whatever process used it.
    """

    def __init__(self, device: torch.device) -> None:
        self._nvml, self._handle = _open(device)
        self._first = self._count()

    def joules(self) -> float | None:
        """Return the energy in J; None where nobody tells."""
        now = self._count()
        return None if now is None or self._first is None else now - self._first

    def _count(self) -> float | None:
        if self._handle is None:
            return None
        try:
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1e3
        except self._nvml.NVMLError as error:  # cards before Volta do not count
            log.debug("no energy: %s", error)
            return None


def _open(device: torch.device) -> tuple[Any, Any]:
    """NVML and its handle on *device*; None for what there is not."""
    if device.type != "cuda":
        return None, None
    try:
        import pynvml
    except ImportError:
        log.debug("no energy: nvidia-ml-py is not installed")
        return None, None
    try:
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except pynvml.NVMLError as error:
        log.debug("no energy: %s", error)
        return None, None


def total(parts: list[float | None]) -> float | None:
    """Return the sum of what is known; None if nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
