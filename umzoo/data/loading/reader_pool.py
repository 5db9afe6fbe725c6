"""Reader processes that fill the slots of a ring buffer, and the process that waits for them.

Processes are spawned, never forked: a fork of a process that uses CUDA or threads is unsafe. The user's script is
not imported by them, so it needs no ``if __name__ == "__main__"``; they do not import torch. They end when the
parent process closes the connection or ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from typing import Any, NoReturn

from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.crop_reader import CropReader
from umzoo.data.loading.ring_buffer import Ring
from umzoo.errors import DataError, UmzooError

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class ReaderPool:
    """``config.workers`` processes that read crops into a ring buffer.

    Crop number ``number * B + item`` is read by worker ``number % workers``: no queue is shared, so no lock can be lost
    with a process that dies. ``close()`` ends the processes; so do the end of the interpreter and of the object.
    """

    def __init__(self, reader: CropReader, config: DataConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self._batch = reader.share.batch
        self.ring = Ring(context, config.slots, self._batch, config.patch_size)
        self._missing: dict[int, int] = {}
        self._failures: dict[str, str] = {}
        self._error = ""
        self._connections: list[Connection] = []
        self._processes: list[Any] = []
        self.close = Finalize(self, _end, (self._connections, self._processes), exitpriority=10)
        with _plain_children():
            for number in range(config.workers):
                ours, theirs = context.Pipe()
                arguments = (theirs, self.ring, reader, os.getpid())
                process = context.Process(target=_serve, args=arguments, name=f"umzoo-reader-{number}", daemon=True)
                process.start()
                theirs.close()
                self._connections.append(ours)
                self._processes.append(process)

    def request(self, number: int, slot: int) -> None:
        """Request that batch *number* of this process is written into *slot* of the ring buffer."""
        shares: dict[int, list[int]] = {}
        for item in range(self._batch):
            shares.setdefault((number * self._batch + item) % len(self._processes), []).append(item)
        self._missing[number] = len(shares)
        for worker, items in shares.items():
            try:
                self._connections[worker].send((number, slot, items))
            except OSError:
                self._raise_dead(worker)

    def wait(self, number: int) -> dict[str, str]:
        """Wait until batch *number* is in the ring buffer.

        Returns:
            identifiers of volumes that could not be read since the last call, with the reasons.

        Raises:
            DataError: if no crop could be read for an item, or a reader process died.
        """
        sentinels = [process.sentinel for process in self._processes]
        while self._missing[number]:
            ready = wait([*self._connections, *sentinels])
            for worker, connection in enumerate(self._connections):
                if connection in ready:
                    self._take(worker)
            if not any(connection in ready for connection in self._connections):
                self._raise_dead(next(i for i, sentinel in enumerate(sentinels) if sentinel in ready))
        if self._error:
            raise DataError(self._error)
        del self._missing[number]
        failures, self._failures = self._failures, {}
        return failures

    def _take(self, worker: int) -> None:
        try:
            number, failures, error = self._connections[worker].recv()
        except (EOFError, OSError):
            self._raise_dead(worker)
        self._missing[number] -= 1
        self._error = self._error or error
        self._failures.update(failures)

    def _raise_dead(self, worker: int) -> NoReturn:
        process = self._processes[worker]
        process.join(timeout=2)
        code = process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        hint = "possibly out of memory" if code == -signal.SIGKILL else "see its error message above"
        raise DataError(f"a reader process died ({how}; {hint}): resume with data.workers=0 for details")


def _end(connections: list[Connection], processes: list[Any]) -> None:
    """End the processes: they stop when their connection closes."""
    for connection in connections:
        connection.close()
    for process in processes:
        process.join(timeout=2)
        if process.is_alive():
            process.kill()
            process.join()
    connections.clear()
    processes.clear()


@contextmanager
def _plain_children() -> Iterator[None]:
    """While open, processes start without the user's script and with one thread each for numerical libraries."""
    main, before = sys.modules["__main__"], {name: os.environ.get(name) for name in _THREADS}
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _serve(connection: Connection, ring: Ring, reader: CropReader, parent: int) -> None:
    """Body of a reader process."""
    import blosc2

    blosc2.set_nthreads(1)
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole process group, and handled by the parent
        signal.signal(number, signal.SIG_IGN)
    while (task := _receive(connection, parent)) is not None:
        number, slot, items = task
        failures: dict[str, str] = {}
        error = ""
        try:
            for item in items:
                failures |= reader.fill(number, item, ring.voxels[slot, item, 0], ring.items[slot, item])
        except UmzooError as problem:
            error = str(problem)
        try:
            connection.send((number, failures, error))
        except OSError:
            return


def _receive(connection: Connection, parent: int) -> Any:
    """The next task, or None once the parent has closed the connection or has ended."""
    try:
        while not connection.poll(2.0):
            if os.getppid() != parent:
                return None
        return connection.recv()
    except (EOFError, OSError):
        return None
