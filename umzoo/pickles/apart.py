"""Starts the process that reads pickles, and takes JSON from it.

On Linux and macOS that process has limits on memory and processor time, opens no file and no connection, starts no
process and writes nothing; on Windows it is ended when it takes too long. It gets none of this one's environment.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 60.0
"""That reading one file may take."""
MAX_ANSWER, MAX_PLAIN = 256 << 20, 64 << 20
"""Bytes of an answer, and of a pickle without tensors."""
_ROOT = str(Path(__file__).resolve().parents[2])
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from umzoo.pickles.child import main; main(sys.argv[2])"
_KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Variables that an interpreter may need to start."""


class UnreadableError(ValueError):
    """A pickle could not be read; the message says why."""


def read_tensor_file(file: Path) -> dict[str, Any]:
    """Return what *file*, which ``torch.save`` wrote, holds: ``content``, ``places`` and ``passed``, all plain JSON.

    Raises:
        OSError: if it cannot be opened.
        UnreadableError: if it is none, is damaged, or asks for too much.
    """
    with file.open("rb") as stream, _started("tensors", stream) as process, _ended_after(SECONDS, process):
        return _understood(process.stdout.read(MAX_ANSWER + 1) if process.stdout else b"", process)


class PlainPickles:
    """Reads pickles of numbers, arrays and containers, one after the other; usable by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, file: Path) -> Any:
        """Return what *file* holds: arrays as nested lists, tuples as they are.

        Raises:
            OSError: if there is no such file.
            UnreadableError: if it is damaged, holds anything else, or asks for too much.
        """
        if file.stat().st_size > MAX_PLAIN:
            raise UnreadableError(f"it has more than {MAX_PLAIN >> 20} MiB")
        content = file.read_bytes()
        with self._lock:
            fresh = self._process is None
            try:
                return self._ask(content)
            except UnreadableError:
                if self._process is not None or fresh:
                    raise
                return self._ask(content)  # the last one may have come to an end of its time with earlier files

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def __del__(self) -> None:
        self.close()

    def _ask(self, content: bytes) -> Any:
        if self._process is None:
            self._process = _start("plain", subprocess.PIPE)
        process = self._process
        try:
            with _ended_after(SECONDS, process):
                answer = _exchanged(process, content)
                return _decoded(_understood(answer, process)["content"])
        finally:
            if process.poll() is not None:
                self.close()


def _exchanged(process: subprocess.Popen[bytes], content: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        return b""
    try:
        process.stdin.write(len(content).to_bytes(8, "little") + content)
        process.stdin.flush()
    except OSError:
        return b""
    return process.stdout.readline(MAX_ANSWER + 1)


def _start(mode: str, source: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _PROGRAM, _ROOT, mode],
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
    )


@contextmanager
def _started(mode: str, source: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = _start(mode, source)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue
    process.wait()


@contextmanager
def _ended_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _understood(answer: bytes, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the process said.

    Raises:
        UnreadableError: if it said nothing, too much, or that the file cannot be read.
    """
    if not answer:
        raise UnreadableError(_why_it_ended(process))
    if len(answer) > MAX_ANSWER:
        raise UnreadableError("it holds too much beside its tensors")
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        raise UnreadableError("its reader gave no answer that can be read") from None
    if not isinstance(content, dict) or "content" not in content:
        raise UnreadableError(str(content.get("error")) if isinstance(content, dict) else "it has no content")
    return content


def _why_it_ended(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(5)
    except subprocess.TimeoutExpired:
        return "its reader gave no answer"
    too_long = [-int(getattr(signal, name)) for name in ("SIGKILL", "SIGXCPU") if hasattr(signal, name)]
    if code in too_long:
        return "reading it takes too long: it is not what it says, or damaged"
    return f"it made its reader crash (status {code}), which runs apart from this process"


def _decoded(value: Any) -> Any:
    return decode(value, lambda _: None)


def decode(value: Any, tensor: Any) -> Any:
    """Return what the JSON *value* of a pickle stands for; ``tensor(place)`` makes its tensors.

    Raises:
        UnreadableError: if it is not as the process writes it.
    """
    if isinstance(value, list):
        return [decode(item, tensor) for item in value]
    if not isinstance(value, dict):
        return value
    try:
        ((kind, content),) = value.items()
        if kind == "t":
            return tuple(decode(item, tensor) for item in content)
        if kind == "d":
            return {decode(key, tensor): decode(item, tensor) for key, item in content}
        return tensor(content) if kind == "T" else Inert(str(content))
    except UnreadableError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"its reader gave an answer that cannot be read: {error}") from None


class Inert:
    """Stands for an object that was passed over: it has a *name* and holds nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}, passed over>"
