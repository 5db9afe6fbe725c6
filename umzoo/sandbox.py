"""Processes that read untrusted files: starting, requests, time limits and termination.

They are started as programs, not forked, so scripts need no ``__main__`` guard, and daemonic processes can start them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, TypeVar

Answer = TypeVar("Answer")

KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Environment variables that an interpreter may need to start; no others are passed on."""


class EndedError(Exception):
    """The process ended during a request, with exit status *code* (negative for a signal); *late* if it timed out."""

    def __init__(self, code: int | None, late: bool) -> None:
        super().__init__(ending(code))
        self.code, self.late = code, late


def ending(code: int | None) -> str:
    """Describe how a process with exit status *code* ended."""
    if code is None:
        return "gave no answer"
    if code >= 0:
        return f"ended with exit status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was ended by {name}{', possibly out of memory' if name == 'SIGKILL' else ''}"


def start(program: str, arguments: Sequence[str], source: Any, kept: Sequence[str] = KEPT) -> subprocess.Popen[bytes]:
    """Start Python with *program* and *arguments*, input from *source*, and the *kept* environment variables only."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program, *arguments],
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env={name: os.environ[name] for name in kept if name in os.environ},
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """End *process* and close its pipes."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue
    process.wait()


@contextmanager
def ended_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[threading.Event]:
    """End *process* after *seconds*; the yielded event is set if that happened."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def receive(stream: IO[bytes], length: int) -> bytearray:
    """Return *length* bytes of *stream*.

    Raises:
        EOFError: if it ends before.
    """
    content = bytearray(length)
    fill(stream, memoryview(content))
    return content


def fill(stream: IO[bytes], buffer: memoryview) -> None:
    """Fill *buffer*, of bytes, from *stream*.

    Raises:
        EOFError: if it ends before.
    """
    place = 0
    while place < len(buffer):
        count = stream.readinto(buffer[place:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        place += count


class Helper:
    """A process that serves requests one after the other: started at the first request, and again after it ended.

    Threads wait for each other. A fork of this process gets its own helper.

    Args:
        start: function that starts the process.
    """

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start, self._owner, self._lock = start, os.getpid(), threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: bytes, seconds: float, take: Callable[[IO[bytes]], Answer]) -> Answer:
        """Send *request*, preceded by its length in eight bytes; return the result of ``take`` on the response stream.

        Raises:
            EndedError: if the process ended during the request, or took longer than *seconds*.
        """
        if self._owner != os.getpid():
            self._owner, self._lock, self._process = os.getpid(), threading.Lock(), None
        with self._lock:
            fresh = self._process is None
            try:
                return self._exchange(request, seconds, take)
            except EndedError as error:
                if fresh or error.late:
                    raise
            return self._exchange(request, seconds, take)  # it may have ended after an earlier request

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._owner == os.getpid():
            end(self._process)
        self._process = None

    def __del__(self) -> None:
        self.close()

    def _exchange(self, request: bytes, seconds: float, take: Callable[[IO[bytes]], Answer]) -> Answer:
        if self._process is None:
            self._process = self._start()
        process, whole = self._process, False
        try:
            with ended_after(seconds, process) as late:
                if process.stdin is not None:
                    _send(process.stdin, len(request).to_bytes(8, "little") + request)
                answer = take(_of(process))
            whole = not late.is_set()
            return answer
        except (OSError, EOFError):
            raise EndedError(_code(process), late.is_set()) from None
        finally:
            if not whole:
                self.close()


def _send(stream: IO[bytes], content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[stream.write(view) :]


def _of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise EOFError
    return process.stdout


def _code(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(5)
    except subprocess.TimeoutExpired:
        return None
