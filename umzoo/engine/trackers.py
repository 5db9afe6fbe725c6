"""Experiment trackers besides TensorBoard, such as Weights & Biases and MLflow, through Accelerate."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import LoggerType
from typing_extensions import Self

from umzoo.errors import ConfigError, in_one_line, nearest

log = logging.getLogger(__name__)

PROJECT = "umzoo"
"""Project or experiment name of the runs."""
NAME_OPTION = {"wandb": "name", "mlflow": "run_name"}
"""Option of each tracker for the name of a run; other trackers generate names."""


def check_trackers(names: Sequence[str]) -> None:
    """Check that the trackers *names* are available.

    Raises:
        ConfigError: if Accelerate does not know one, or its package is not installed.
    """
    known = sorted(str(name) for name in LOGGER_TYPE_TO_CLASS if name != "tensorboard")
    for name in names:
        if name == "tensorboard":
            raise ConfigError("trainer.trackers: leave out 'tensorboard', whose logs are always written")
        if name not in known:
            raise ConfigError(
                f"trainer.trackers: no tracker '{name}'{nearest(name, known)}: give some of {', '.join(known)}"
            )
        if name in LoggerType.list() and LoggerType(name) not in get_available_trackers():
            raise ConfigError(
                f"trainer.trackers: the package of '{name}' is not installed: 'pip install {name}', or leave it out"
            )


class Trackers:
    """While entered, sends metrics to the trackers of *accelerator*.

    Args:
        accelerator: created with ``log_with``.
        run: name of the run.
        settings: options of the run; nested tables are flattened to dotted keys.
    """

    def __init__(self, accelerator: Accelerator, run: str, settings: Mapping[str, Any]) -> None:
        self.accelerator, self.run, self.settings = accelerator, run, settings
        self._failed = False

    def __enter__(self) -> Self:
        if self.accelerator.log_with:
            names = {name: {option: self.run} for name, option in NAME_OPTION.items()}
            self.accelerator.init_trackers(PROJECT, config=flat(self.settings), init_kwargs=names)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        for tracker in self.accelerator.trackers:  # end_training() would also end the process group
            self._try(tracker.finish)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log the finite *metrics* at *step*; after a failure, warn once and stop logging."""
        if not self._failed:
            self._try(lambda: self.accelerator.log(dict(metrics), step=step))

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - an error of a tracking service must not end the training
            self._failed = True
            names = ", ".join(str(name) for name in self.accelerator.log_with)
            log.warning("logging to %s failed (%s): the run continues without it", names, in_one_line(error))


def flat(settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Return *settings* with dotted keys; lists become JSON, as trackers accept only plain values."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{where}{key}.")
        else:
            found[f"{where}{key}"] = json.dumps(value) if isinstance(value, list | tuple) else value
    return found
