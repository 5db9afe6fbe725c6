"""The training store: its index, its arrays, and what is shown of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umzoo.data.store.reader import Store as Store

__all__ = ["Store"]


def __getattr__(name: str) -> Any:
    """Import :class:`~umzoo.data.store.reader.Store` when it is asked for; parts of this folder need not read one."""
    if name == "Store":
        from umzoo.data.store.reader import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
