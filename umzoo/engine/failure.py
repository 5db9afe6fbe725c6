"""Records the failure of a training in the run's folder, and logs how to continue."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from umzoo.errors import in_one_line

log = logging.getLogger(__name__)

FAILED = "failed.json"


class Failure:
    """While entered, an exception is recorded in ``failed.json`` and the log says how to continue; a retry removes it.

    Args:
        folder: the run's folder.
        active: False on all processes except the main one.
        step: returns the current step.
        remedy: returns a sentence on how to continue.
    """

    def __init__(self, folder: Path, active: bool, step: Callable[[], int], remedy: Callable[[], str]) -> None:
        self.file, self.active, self.step, self.remedy = folder / FAILED, active, step, remedy

    def __enter__(self) -> None:
        if self.active:
            self.file.unlink(missing_ok=True)

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if not self.active or not isinstance(value, Exception):
            return
        log.error("the run failed at step %d: %s", self.step(), self.remedy())
        try:
            note = {"step": self.step(), "error": in_one_line(value)}
            self.file.write_text(json.dumps(note), encoding="utf-8")
        except OSError as error:  # such as a full disk, possibly the cause of the failure
            log.warning("cannot write %s: %s", self.file, error)


def has_failed(folder: Path) -> bool:
    """Return whether the last training in *folder* ended in an exception."""
    return (folder / FAILED).is_file()
