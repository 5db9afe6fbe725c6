"""Devices and processes of a training, handled by Accelerate, and the global random state of each pass."""

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
"""Distinguishes these seeds from others of the same step."""
PATIENCE = timedelta(hours=2)
"""Timeout of processes that wait for each other, while the main one evaluates or writes."""
PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
"""Names of precisions in recipes to those of Accelerate."""


def build_accelerator(config: TrainerConfig, cpu: bool, folder: Path) -> Accelerator:
    """Return the Accelerator for devices, processes and trackers.

    Args:
        config: precision, accumulation and trackers.
        cpu: run on the CPU.
        folder: folder for files of trackers.

    Raises:
        ConfigError: if the device does not support the precision, or there is no such tracker.
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
    if config.precision == "fp16" and accelerator.device.type == "cpu":  # Accelerate would train in fp32
        raise ConfigError("trainer.precision 'fp16' needs a GPU: use 'bf16' or 'fp32' on the CPU")
    if not accelerator.is_main_process:
        logging.getLogger("umzoo").setLevel(logging.ERROR)  # only the main process logs
    return accelerator


def _forget_other_settings(precision: str, cpu: bool) -> None:
    """Drop what Accelerate keeps of an earlier training in this process with another precision, or on another device.

    It would refuse the new one. Processes that have found each other stay connected.
    """
    known = AcceleratorState._shared_state
    if known and (known.get("_mixed_precision"), known.get("_cpu")) != (precision, cpu):
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())


def seed_pass(seed: int, step: int, slot: int) -> None:
    """Set the global random state (dropout, stochastic depth) for the pass of *step* that starts at *slot*."""
    (word,) = np.random.SeedSequence((_STREAM, seed, step, slot)).generate_state(1, np.uint64).tolist()
    torch.manual_seed(word >> 1)
