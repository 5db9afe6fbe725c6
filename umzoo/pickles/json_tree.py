"""The content of a pickle as JSON: containers and numbers, and file positions instead of tensors."""

from __future__ import annotations

from typing import Any

from umzoo.pickles.objects import Array, Named, Passed, Tensor

MAX_DEPTH, MAX_NODES, MAX_VALUES = 100, 500_000, 16_000_000


class Writer:
    """Converts the objects of one pickle to JSON values.

    Lists stay, tuples and sets become ``{"t": items}``, dictionaries ``{"d": pairs}``, tensors ``{"T": place}`` and
    everything else ``{"x": name}``.
    """

    def __init__(self) -> None:
        self.nodes, self.values = 0, 0

    def write(self, value: Any, depth: int = 0) -> Any:
        """Return *value* for ``json``.

        Raises:
            ValueError: if it is nested too deeply, contains itself, or is too large.
        """
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels, or has more than {MAX_NODES} parts")
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, Array):
            return self._array(value)
        if type(value) is list:
            return [self.write(item, depth + 1) for item in value]
        if isinstance(value, (tuple, set, frozenset)):
            return {"t": [self.write(item, depth + 1) for item in value]}
        if isinstance(value, dict):
            return {"d": [[self.write(key, depth + 1), self.write(item, depth + 1)] for key, item in value.items()]}
        if isinstance(value, Tensor):
            return {"T": value.place}
        named = isinstance(value, (Passed, Named)) or (isinstance(value, type) and issubclass(value, Passed))
        return {"x": value.name if named else type(value).__name__}

    def _array(self, array: Array) -> Any:
        self.values += array.count
        if self.values > MAX_VALUES:
            raise ValueError(f"its arrays have more than {MAX_VALUES} values")
        return {"x": "an array"} if array.content is None else array.content
