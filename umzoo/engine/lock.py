"""Lock that allows one training at a time in a run's folder."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout
from typing_extensions import Self

from umzoo.errors import ConfigError

log = logging.getLogger(__name__)

LOCK = ".lock"
"""Lock file in the run's folder; the operating system releases it when the process ends."""


class RunLock:
    """Prevents other trainings in *folder* until it is released or the process ends.

    Args:
        folder: the run's folder.
        active: False on all processes except the main one.
    """

    def __init__(self, folder: Path, active: bool) -> None:
        self.folder, self.active = folder, active
        self._lock = FileLock(folder / LOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.release()

    def acquire(self) -> None:
        """Acquire the lock; warn and continue without it if the file system does not support locks.

        Raises:
            ConfigError: if another training holds it.
        """
        if not self.active:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(
                f"another training is writing to {self.folder}: wait for it or stop it, or choose another --out"
            ) from None
        except (NotImplementedError, OSError) as error:
            log.warning("%s cannot be locked (%s): start no other training there", self.folder, error)

    def release(self) -> None:
        """Release the lock if it is held."""
        self._lock.release(force=True)
