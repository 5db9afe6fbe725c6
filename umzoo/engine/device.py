"""Where a training runs, by Accelerate, and the global random state of each pass."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

from umzoo.engine.recipe import TrainerConfig
from umzoo.engine.trackers import check_trackers
from umzoo.errors import ConfigError

_STREAM = 0xD207
"""Keeps these seeds apart from others made from the same step."""
PATIENCE = timedelta(hours=2)
"""How long processes wait for each other: the main one may evaluate or write meanwhile."""
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
    _forget_other_settings(PRECISION[config.precision], cpu)
    handlers = [DistributedDataParallelKwargs(find_unused_parameters=False), InitProcessGroupKwargs(timeout=PATIENCE)]
    try:
        accelerator = Accelerator(
            cpu=cpu,
            mixed_precision=PRECISION[config.precision],
            gradient_accumulation_steps=config.accumulate,
            log_with=list(config.trackers) or None,
            project_dir=folder,
            kwargs_handlers=handlers,
        )
    except ValueError as error:
        raise ConfigError(f"trainer.precision '{config.precision}' does not work on this device: {error}") from None
    if not accelerator.is_main_process:
        logging.getLogger("umzoo").setLevel(logging.ERROR)  # what the main process says is said once
    return accelerator


def _forget_other_settings(precision: str, cpu: bool) -> None:
    """Drop what Accelerate keeps of an earlier training in this process with another precision, or on another device.

    It would refuse the new one. Processes that have found each other stay connected.
    """
    known = AcceleratorState._shared_state
    if known and (known.get("_mixed_precision"), known.get("_cpu")) != (precision, cpu):
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())


def seed_pass(seed: int, step: int, slot: int) -> None:
    """Set the global random state, which dropout and stochastic depth use, for the pass of *step* from *slot* on."""
    (word,) = np.random.SeedSequence((_STREAM, seed, step, slot)).generate_state(1, np.uint64).tolist()
    torch.manual_seed(word >> 1)
