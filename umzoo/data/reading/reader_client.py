"""Reads scans in a separate process: ITK, GDCM and pixel decoders run there, because a corrupted file may crash them.

One process serves all scans, and is restarted after a crash. In a process that may crash itself, such as a worker of
``umzoo prepare``, scans are read directly.
"""

from __future__ import annotations

import atexit
import json
import math
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.frames import Frames
from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.scan_source import Reading, ScanSource
from umzoo.data.reading.size_limits import require_memory, size
from umzoo.sandbox import KEPT, EndedError, Helper, ending, fill, receive, start

SECONDS, RATE = 120.0, 1 << 20
"""Base time limit for reading a scan in seconds, and bytes of its files for each additional second."""
_MAX_ANSWER = 1 << 20
_ROOT = str(Path(__file__).resolve().parents[3])
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from umzoo.data.reading.reader_server import main; main()"
)
_KEPT = (*KEPT, "PATH", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL", "LC_CTYPE")

expendable = False
"""Whether a scan may crash this process, because its parent handles that."""


def open_apart(scan: ScanSource, reading: Reading, labels: bool) -> Frames:
    """Read *scan* in the other process; label maps are allowed with *labels*.

    Raises:
        Refused: if it is not a volume, or the process crashed.
    """
    request = {"ask": "frames", "files": scan.files, "dicom": scan.dicom, "frames": scan.frames, "notes": scan.notes}
    frames: Frames = _asked(request | {"uneven": reading.uneven, "labels": labels})
    return frames


def axes_apart(file: str) -> NDArray[np.float64] | None:
    """The axes of *file* according to ITK, columns ``(3, 3)`` in mm (LPS); None if it cannot be read."""
    axes = _asked({"ask": "axes", "files": [file]})
    return None if axes is None else np.array(axes, float).reshape(3, 3)


def pixels_apart(file: str) -> str:
    """A hash of the stored pixels of the DICOM *file*, unpacked; its name if they cannot be read."""
    try:
        return str(_asked({"ask": "pixels", "files": [file]}))
    except Refused:
        return file


def _asked(request: dict[str, Any]) -> Any:
    """The response of the other process, or of this one if it may crash."""
    if expendable:
        from umzoo.data.reading.reader_server import answer

        return answer(request)
    request |= {"files": [str(Path(file).absolute()) for file in request["files"]]}
    seconds = SECONDS + sum(map(_bytes, request["files"])) / RATE
    try:
        found = _HELPER.ask(json.dumps(request | {"seconds": seconds}).encode(), seconds, _answer)
    except EndedError as error:
        raise Refused(Reason.DIED, _epitaph(error, seconds)) from None
    if isinstance(found, Refused):
        raise found
    return found


def _epitaph(error: EndedError, seconds: float) -> str:
    if error.late:
        return f"reading took more than {seconds:.0f} s: the file may be corrupted, or the disk slow"
    if error.code is not None and error.code >= 0:
        return f"the reader process {ending(error.code)}: check that Python can be started as '{sys.executable}'"
    return f"the reader process {ending(error.code)}: the file is corrupted; download or export it again"


def _bytes(file: str) -> int:
    try:
        return Path(file).stat().st_size
    except (OSError, ValueError):
        return 0


def _answer(stream: IO[bytes]) -> Any:
    """The response of the process: a header in JSON, then voxels."""
    try:
        length = int.from_bytes(receive(stream, 8), "little")
        if length > _MAX_ANSWER:
            raise EOFError
        header = json.loads(receive(stream, length))
        if "reason" in header:
            return Refused(Reason(header["reason"]), str(header["detail"]))
        if "value" in header:
            return header["value"]
        stored = _array(header["shape"], header["dtype"])
        fill(stream, stored.reshape(-1).view(np.uint8).data)
        voxels = stored.transpose(header["order"])
        return Frames.of_array(voxels, np.array(header["affine"]), tuple(header["notes"]), header["hounsfield"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise EOFError from None


def _array(shape: Iterable[int], dtype: str) -> NDArray[Any]:
    kind = np.dtype(dtype)
    needed = math.prod(shape) * kind.itemsize
    require_memory(needed, f"its voxels take {size(needed)}")
    return np.empty(tuple(shape), kind)


def _start() -> subprocess.Popen[bytes]:
    return start(_PROGRAM, (json.dumps([_ROOT, *filter(None, sys.path)]),), subprocess.PIPE, _KEPT)


_HELPER = Helper(_start)
atexit.register(_HELPER.close)
