"""Turns signals into a request to stop after the current step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from typing_extensions import Self

INSISTENT = (signal.SIGTERM, signal.SIGINT)
"""Signals that act as usual when another one has come before."""
PATIENT = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name))
"""Signals that only ask to stop, however often they come: a terminal that closes may send several."""


class StopRequest:
    """While entered, the first signal is only noted in ``signum``; a second SIGTERM or SIGINT acts as usual.

    With *launched*, the process was started by a launcher, which passes signals on that the process may have got
    already, and kills it if it takes too long: then no signal does more than ask.

    SIGHUP and SIGUSR1, by which terminals and schedulers tell of the end, never do more than ask. A SIGHUP that is
    ignored, as under nohup, stays so.
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
    """Whether *number* is one that only asks, and the process was started to ignore it."""
    return number in PATIENT and signal.getsignal(number) is signal.SIG_IGN
