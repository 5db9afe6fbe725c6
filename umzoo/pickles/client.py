"""Starts the process that reads pickles, and takes JSON from it.

On Linux and macOS that process has limits on memory and processor time, opens no file and no connection, starts no
process and writes nothing; on Windows it is ended when it takes too long. It gets none of this one's environment.
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
"""That reading one file may take."""
MAX_ANSWER, MAX_PLAIN = 256 << 20, 64 << 20
"""Bytes of an answer, and of a pickle without tensors."""
_ROOT = str(Path(__file__).resolve().parents[2])
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from umzoo.pickles.server import main; main(sys.argv[2])"


class UnreadableError(ValueError):
    """A pickle could not be read; the message says why."""


def read_tensor_file(file: Path) -> dict[str, Any]:
    """Return what *file*, which ``torch.save`` wrote, holds: ``content``, ``places`` and ``passed``, all plain JSON.

    Raises:
        OSError: if it cannot be opened.
        UnreadableError: if it is none, is damaged, or asks for too much.
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
        """Return what *file* holds: arrays as nested lists, tuples as they are.

        Raises:
            OSError: if there is no such file.
            UnreadableError: if it is damaged, holds anything else, or asks for too much.
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
        raise UnreadableError("it holds too much beside its tensors")
    return bytes(receive(stream, length))


def _understood(answer: bytes) -> dict[str, Any]:
    """What the process said.

    Raises:
        UnreadableError: if that cannot be read, or is that the file cannot be.
    """
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        raise UnreadableError("its reader gave no answer that can be read") from None
    if not isinstance(content, dict) or "content" not in content:
        raise UnreadableError(in_one_line(content.get("error")) if isinstance(content, dict) else "it has no content")
    return content


def _why(error: EndedError) -> str:
    too_long = [-int(getattr(signal, name)) for name in ("SIGKILL", "SIGXCPU") if hasattr(signal, name)]
    if error.late or error.code in too_long:
        return "reading it takes too long: it is not what it says, or damaged"
    return f"it made its reader crash (status {error.code}), which runs apart from this process"


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
