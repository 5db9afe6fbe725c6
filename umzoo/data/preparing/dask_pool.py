"""Runs a function on the workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from umzoo.data.preparing.process_pool import Died
from umzoo.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")


def on_dask(
    function: Callable[[Item], Result], items: Sequence[Item], scheduler: str
) -> Iterator[tuple[Item, Result | Died]]:
    """Yield each of *items* with ``function(item)`` as they finish, by the workers of the Dask *scheduler*.

    Raises:
        DataError: if Dask is not installed, or the scheduler cannot be reached.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise DataError("--scheduler requires Dask: pip install 'umzoo[dask]'") from None
    try:
        client = Client(scheduler, timeout=30)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot connect to the Dask scheduler at {scheduler}: {error}") from None
    with client:
        futures = {client.submit(function, item, pure=False): item for item in items}
        for future in as_completed(futures):
            item = futures.pop(future)
            try:
                yield item, future.result()
            except KilledWorker:
                yield item, Died("the Dask workers died while processing it")
            future.release()
