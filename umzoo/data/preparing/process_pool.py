"""A pool of processes that survives crashes: a worker that dies loses its current item only, and is replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from umzoo.data.reading.size_limits import limit_memory
from umzoo.errors import UmzooError

Item = TypeVar("Item")
Result = TypeVar("Result")

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLOSC_NTHREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


@dataclass(frozen=True)
class Died:
    """Replaces a result if the worker died while processing the item; *how* describes it."""

    how: str


@dataclass
class _Worker(Generic[Item]):
    process: Any
    connection: Connection
    item: Item | None = None


def imap_unordered(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Result | Died]]:
    """Yield each of *items* with ``function(item)``, as they finish; *workers* 0 calls it in this process.

    Raises:
        UmzooError: if a worker cannot even start.
    """
    if workers == 0:
        yield from ((item, function(item)) for item in items)
        return
    waiting = iter(items)
    busy: list[_Worker[Item]] = []
    try:
        for _ in range(workers):
            _feed(_start(function), waiting, busy)
        while busy:
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                busy.remove(worker)
                item: Any = worker.item
                result: Any = _receive(worker)
                _feed(_start(function) if isinstance(result, Died) else worker, waiting, busy)
                yield item, result
    finally:
        for worker in busy:
            _stop(worker)


def _feed(worker: _Worker[Item], waiting: Iterator[Item], busy: list[_Worker[Item]]) -> None:
    """Give *worker* the next item, or end it if there is none."""
    for item in waiting:
        worker.item = item
        worker.connection.send(item)
        busy.append(worker)
        return
    _stop(worker)


def _receive(worker: _Worker[Any]) -> Any:
    try:
        return worker.connection.recv()
    except (EOFError, OSError):
        return Died(_epitaph(worker))


def _start(function: Callable[[Any], Any]) -> _Worker[Any]:
    context: Any = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(function, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        ours.recv()
    except (EOFError, OSError):
        raise UmzooError(
            "worker processes cannot start: in a script, call this below 'if __name__ == \"__main__\":',"
            " or use workers=0"
        ) from None
    return _Worker(process, ours)


def _serve(function: Callable[[Any], Any], connection: Connection) -> None:
    """Process items until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    limit_memory()
    connection.send("ready")
    while True:
        try:
            connection.send(function(connection.recv()))
        except (EOFError, OSError):
            return


def _stop(worker: _Worker[Any]) -> None:
    worker.connection.close()
    worker.process.terminate()
    worker.process.join()


def _epitaph(worker: _Worker[Any]) -> str:
    worker.process.join()
    code = worker.process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ", possibly out of memory" if name == "SIGKILL" else ""
        return f"the reader process was ended by {name}{hint}"
    return f"the reader process ended with exit status {code}"
