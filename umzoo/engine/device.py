"""Where a training runs, by Accelerate, and the global random state of each process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from umzoo.engine.recipe import TrainerConfig
from umzoo.engine.trackers import check_trackers
from umzoo.errors import ConfigError

PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
"""Our names of precisions to Accelerate's."""


def build_accelerator(config: TrainerConfig, cpu: bool, folder: Path) -> Accelerator:
    """Return Accelerate's handle on devices, processes and trackers.

    Args:
        config: precision, accumulation and trackers.
        cpu: leave a GPU alone.
        folder: where trackers that write files may do so.

    Raises:
        ConfigError: if the device cannot do the precision, or there is no such tracker.
    """
    check_trackers(config.trackers)
    try:
        return Accelerator(
            cpu=cpu,
            mixed_precision=PRECISION[config.precision],
            gradient_accumulation_steps=config.accumulate,
            log_with=list(config.trackers) or None,
            project_dir=folder,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=False)],
        )
    except ValueError as error:
        raise ConfigError(f"trainer.precision '{config.precision}' does not work on this device: {error}") from None


def random_state(device: torch.device) -> dict[str, Any]:
    """Global random state, which dropout and stochastic depth of a backbone may use."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Go back to what :func:`random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
