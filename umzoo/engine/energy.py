"""Energy consumption of a GPU, measured by NVML (package ``nvidia-ml-py``)."""

from __future__ import annotations

import logging
from typing import Any

import torch

log = logging.getLogger(__name__)

JOULES_PER_KWH = 3.6e6


class EnergyMeter:
    """Measures the energy consumed by *device* since the meter was made.

    NVML counts the energy of all processes in mJ since the driver was loaded.
    """

    def __init__(self, device: torch.device) -> None:
        self._nvml, self._handle = _open(device)
        self._first = self._count()

    def joules(self) -> float | None:
        """Return the energy in J; None if it cannot be measured."""
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
    """Return the NVML module and its handle of *device*; None if they are not available."""
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
    """Return the sum of *parts* that are not None; None if all are."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
