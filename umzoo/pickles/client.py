"""Starts the process that reads pickles, and receives JSON from it.

On Linux and macOS that process has limits on memory and CPU time, and can open no files or connections, start no
processes and write nothing; on Windows only its time is limited. It gets none of this process's environment.
"""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import IO, Any

from umzoo.errors import in_one_line
from umzoo.sandbox import EndedError, Helper, receive, start

SECONDS = 60.0
"""Time limit for reading one file."""
MAX_ANSWER, MAX_PLAIN = 256 << 20, 64 << 20
"""Maximum bytes of a response, and of a pickle without tensors."""
_ROOT = str(Path(__file__).resolve().parents[2])
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from umzoo.pickles.server import main; main(sys.argv[2])"


class UnreadableError(ValueError):
    """A pickle could not be read; the message says why."""


def read_tensor_file(file: Path) -> dict[str, Any]:
    """Return the content of *file*, written by ``torch.save``: ``content``, ``places`` and ``passed``, as plain JSON.

    Raises:
        OSError: if it cannot be opened.
        UnreadableError: if it is not such a file, is corrupted, or exceeds the limits.
    """
    helper = Helper(lambda: start(_PROGRAM, (_ROOT, "tensors"), stream))
    with file.open("rb") as stream:
        try:
            return _understood(helper.ask(b"", SECONDS, _answer))
        except EndedError as error:
            raise UnreadableError(_why(error)) from None
        finally:
            helper.close()


class PlainPickles:
    """Reads pickles of numbers, arrays and containers, one after the other; usable by several threads."""

    def __init__(self) -> None:
        self._helper = Helper(lambda: start(_PROGRAM, (_ROOT, "plain"), subprocess.PIPE))

    def read(self, file: Path) -> Any:
        """Return the content of *file*, with arrays as nested lists and tuples as tuples.

        Raises:
            OSError: if there is no such file.
            UnreadableError: if it is corrupted, contains anything else, or exceeds the limits.
        """
        if file.stat().st_size > MAX_PLAIN:
            raise UnreadableError(f"it has more than {MAX_PLAIN >> 20} MiB")
        try:
            answer = self._helper.ask(file.read_bytes(), SECONDS, _answer)
        except EndedError as error:
            raise UnreadableError(_why(error)) from None
        return _decoded(_understood(answer)["content"])

    def close(self) -> None:
        """End the process."""
        self._helper.close()


def _answer(stream: IO[bytes]) -> bytes:
    length = int.from_bytes(receive(stream, 8), "little")
    if length > MAX_ANSWER:
        raise UnreadableError("it contains too much data other than tensors")
    return bytes(receive(stream, length))


def _understood(answer: bytes) -> dict[str, Any]:
    """The response of the process.

    Raises:
        UnreadableError: if the response cannot be read, or reports that the file cannot be read.
    """
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        raise UnreadableError("the reader process sent no valid response") from None
    if not isinstance(content, dict) or "content" not in content:
        raise UnreadableError(in_one_line(content.get("error")) if isinstance(content, dict) else "it has no content")
    return content


def _why(error: EndedError) -> str:
    too_long = [-int(getattr(signal, name)) for name in ("SIGKILL", "SIGXCPU") if hasattr(signal, name)]
    if error.late or error.code in too_long:
        return "reading it took too long: it is corrupted or not a valid file"
    return f"the reader process crashed (exit status {error.code})"


def _decoded(value: Any) -> Any:
    return decode(value, lambda _: None)


def decode(value: Any, tensor: Any) -> Any:
    """Decode the JSON *value* of a pickle; ``tensor(place)`` makes its tensors.

    Raises:
        UnreadableError: if it does not have the format of the process.
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
        raise UnreadableError(f"the reader process sent an invalid response: {error}") from None


class Inert:
    """Placeholder for a skipped object: it has a *name* and no content."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}, skipped>"
