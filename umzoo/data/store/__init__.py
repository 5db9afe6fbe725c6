"""The training store: its index, its arrays, and summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umzoo.data.store.reader import Store as Store

__all__ = ["Store"]


def __getattr__(name: str) -> Any:
    """Import :class:`~umzoo.data.store.reader.Store` on first use; parts of this folder do not need it."""
    if name == "Store":
        from umzoo.data.store.reader import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
