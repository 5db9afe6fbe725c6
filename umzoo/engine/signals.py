"""Converts signals to a request to stop after the current step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from typing_extensions import Self

INSISTENT = (signal.SIGTERM, signal.SIGINT)
"""Signals that have their default effect when they arrive a second time."""
PATIENT = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name))
"""Signals that only request a stop, also repeatedly: a closing terminal may send several."""


class StopRequest:
    """While entered, the first signal is only stored in ``signum``; a second SIGTERM or SIGINT has its default effect.

    With *launched*, all signals only request a stop: the launcher of the process may forward signals that it has
    already received, and kills it after a timeout.

    SIGHUP and SIGUSR1, by which terminals and schedulers announce the end, always only request a stop. A SIGHUP that
    is ignored, as under nohup, remains ignored.
    """

    def __init__(self, launched: bool = False) -> None:
        self.insistent = () if launched else INSISTENT
        self.signum: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            signals = [number for number in (*INSISTENT, *PATIENT) if not _ignored(number)]
            self._previous = {number: signal.signal(number, self._note) for number in signals}
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._restore(tuple(self._previous))

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum
        if signum in self.insistent:
            self._restore(self.insistent)

    def _restore(self, signals: tuple[int, ...]) -> None:
        for number in signals:
            if number in self._previous:
                signal.signal(number, self._previous.pop(number))


def _ignored(number: int) -> bool:
    """Return whether *number* only requests a stop, and the process was started to ignore it."""
    return number in PATIENT and signal.getsignal(number) is signal.SIG_IGN
