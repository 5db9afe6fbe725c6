"""The process that reads scans for another one; its functions also read scans directly."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from umzoo.data.reading import reader_client
from umzoo.data.reading.detached_headers import utf8_name
from umzoo.data.reading.frames import Frames
from umzoo.data.reading.refusal import Reason, Refused, guarded
from umzoo.data.reading.size_limits import limit_memory

_ONE_THREAD = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
_LATER = 10
"""Additional seconds after the time limit, after which this process ends itself."""


def answer(request: dict[str, Any]) -> Any:
    """Return the response to *request*, computed in this process, which a corrupted file may crash."""
    return _ASKED[request["ask"]](request)


def main() -> None:
    """Answer requests from standard input, each in JSON preceded by its length in eight bytes, until it ends."""
    reader_client.expendable = True
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent to the whole process group, and handled by the client
    stream, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # libraries that print do not disturb the responses
    tempfile.gettempdir()
    _write_nothing()
    while length := stream.read(8):
        _serve(json.loads(stream.read(int.from_bytes(length, "little"))), out)
        _end_after(0)


def _serve(request: dict[str, Any], out: BinaryIO) -> None:
    try:
        limit_memory()
        _end_after(request["seconds"] + _LATER)
        with guarded(request["files"]):
            found = answer(request)
        _send_frames(out, found) if isinstance(found, Frames) else _send(out, {"value": found})
    except Refused as why:
        _send(out, {"reason": why.reason.value, "detail": why.detail})
    except MemoryError:
        _send(out, {"reason": Reason.MEMORY.value, "detail": "not enough memory to read it"})


def _read(request: dict[str, Any]) -> Frames:
    """The frames of a scan; see :func:`umzoo.data.reading.reader_client.open_apart`."""
    files, notes = request["files"], tuple(request["notes"])
    if request["dicom"]:
        from umzoo.data.reading.dicom import read_stack

        stack = read_stack(files, request["frames"], request["uneven"] == "resample")
        return Frames.of_array(stack.voxels, stack.affine, notes + stack.notes, stack.hounsfield)
    from umzoo.data.reading.itk import read_itk

    with utf8_name(files[0]) as path:
        return read_itk(path, request["labels"])


def _axes(request: dict[str, Any]) -> list[list[float]] | None:
    """See :func:`umzoo.data.reading.reader_client.axes_apart`."""
    from umzoo.data.reading.itk import itk_axes

    with utf8_name(request["files"][0]) as path:
        axes = itk_axes(path)
    return None if axes is None else axes.tolist()


def _pixels(request: dict[str, Any]) -> str:
    """See :func:`umzoo.data.reading.reader_client.pixels_apart`."""
    from umzoo.data.reading.dicom.pixels import hash_of_pixels

    file: str = request["files"][0]
    try:
        return hash_of_pixels(file)
    except Exception:  # noqa: BLE001 - it is reported when the slice is read
        return file


_ASKED: dict[str, Callable[[dict[str, Any]], Any]] = {"frames": _read, "axes": _axes, "pixels": _pixels}


def _send_frames(out: BinaryIO, frames: Frames) -> None:
    """Send all *frames* in their memory layout, with the order of their axes."""
    if (voxels := frames.voxels) is None:
        raise ValueError("frames that are not in memory")
    inside = sorted(range(voxels.ndim), key=lambda axis: -abs(voxels.strides[axis]))
    stored = np.ascontiguousarray(voxels.transpose(inside))
    header = {"shape": stored.shape, "dtype": stored.dtype.str, "order": np.argsort(inside).tolist()}
    header |= {"affine": frames.affine.tolist(), "notes": frames.notes, "hounsfield": frames.hounsfield}
    _send(out, header, stored.reshape(-1).view(np.uint8).data)


def _send(out: BinaryIO, header: dict[str, Any], voxels: memoryview | None = None) -> None:
    text = json.dumps(header).encode()
    for part in (memoryview(len(text).to_bytes(8, "little") + text), voxels):
        while part:
            part = part[out.write(part) :]


def _end_after(seconds: float) -> None:
    """Schedule the end of this process in *seconds*, replacing an earlier schedule; not on Windows."""
    if hasattr(signal, "alarm"):
        signal.alarm(int(seconds))


def _write_nothing() -> None:
    """Disable writing to files and core dumps, where supported."""
    try:
        import resource
    except ImportError:
        return
    for name in ("FSIZE", "CORE"):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (0, 0))
