"""The process that reads pickles from standard input, and writes to standard output only."""

from __future__ import annotations

import codecs
import io
import json
import pickle
import sys
from typing import Any, BinaryIO

from umzoo.pickles.json_tree import Writer
from umzoo.pickles.objects import PLAIN, Unpickler
from umzoo.pickles.torch_file import NotTensorsError, read_tensors

MEMORY, SECONDS = 1 << 30, 20
"""Bytes of address space in addition to the interpreter's, and seconds of CPU time."""


def main(mode: str) -> None:
    """Read one file of tensors, or in mode ``plain`` any number of pickles.

    Pickles and responses are preceded by their length in eight bytes.
    """
    stream, out = open(0, "rb", closefd=False), open(1, "wb", closefd=False)  # noqa: SIM115
    codecs.lookup("cp437")  # for names in archives; the codec is a file, and no file can be opened later
    confine()
    if mode == "tensors":
        _send(out, _answer(_tensors, stream))
    else:
        while length := stream.read(8):
            content = io.BytesIO(stream.read(int.from_bytes(length, "little")))
            _send(out, _answer(_plain, content))


def _send(out: BinaryIO, answer: bytes) -> None:
    out.write(len(answer).to_bytes(8, "little") + answer)
    out.flush()


def confine() -> None:
    """Drop permissions that reading does not need, where supported: files, sockets, processes, memory, time."""
    try:
        import resource
    except ImportError:
        return
    limits = {"AS": MEMORY, "DATA": MEMORY, "CPU": SECONDS, "FSIZE": 0, "NOFILE": 3, "NPROC": 0, "CORE": 0}
    for name, most in limits.items():
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
        except (AttributeError, OSError, ValueError):
            continue


def _tensors(stream: BinaryIO) -> dict[str, Any]:
    content, places, passed = read_tensors(stream)
    return {"content": Writer().write(content), "places": places, "passed": sorted(passed)}


def _plain(stream: BinaryIO) -> dict[str, Any]:
    return {"content": Writer().write(Unpickler(stream, PLAIN, strict=True).load())}


def _answer(read: Any, stream: BinaryIO) -> bytes:
    try:
        return json.dumps(read(stream)).encode()
    except MemoryError:
        reason = f"it needs more than {MEMORY >> 20} MiB of memory"
    except RecursionError:
        reason = "it is nested too deeply"
    except (pickle.UnpicklingError, NotTensorsError) as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - any error of a corrupted file is reported
        reason = f"it is corrupted ({type(error).__name__}: {error})"
    return json.dumps({"error": reason[:300]}).encode()


if __name__ == "__main__":
    main(sys.argv[-1])
