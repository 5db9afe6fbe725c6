"""Converts the targets in a table from text to numbers."""

from __future__ import annotations

import math

from umzoo.downstream.tasks.config import TaskConfig
from umzoo.downstream.tasks.rows import Row, Rows
from umzoo.errors import DataError, nearest

MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "?"})
"""Lower-case texts that mean a missing value."""
_TRUTH = {"1": 1.0, "0": 0.0, "true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "y": 1.0, "n": 0.0}
LEAST_OF_A_CLASS = 2
"""Fewest cases of a class."""


def class_names(config: TaskConfig, rows: Rows) -> dict[str, str]:
    """Return the classes in order, as a mapping from value in the table to name; without classes, the target names.

    Raises:
        DataError: if the classes of label maps have no names, or a class has too few cases.
    """
    if config.kind == "segmentation":
        return _label_values(config, rows)
    if config.kind != "classification":
        return {name: name for name in config.targets}
    found = [plain(row[config.targets[0]]) for row in rows.rows if not is_missing(row[config.targets[0]])]
    classes = {plain(value): name for value, name in config.classes.items()}
    classes = classes or {value: value for value in sorted(set(found), key=_order)}
    for value, name in classes.items():
        if found.count(value) < LEAST_OF_A_CLASS:
            hint = nearest(value, set(found)) if found.count(value) == 0 else ""
            raise DataError(
                f"{rows.where}: class '{name}' has {found.count(value)} cases{hint},"
                f" it needs {LEAST_OF_A_CLASS} at least"
            )
    if len(classes) < 2:
        raise DataError(f"{rows.where}: column '{config.targets[0]}' has one class only, {', '.join(classes.values())}")
    return classes


def read_targets(
    config: TaskConfig, rows: Rows, classes: dict[str, str], id: str, row: Row
) -> tuple[float, ...] | None:
    """Return the targets of *row*, empty for segmentation; None if a target is missing or its class is not listed.

    Raises:
        DataError: if a value is invalid for this kind of task.
    """
    values = [row[column] for column in config.targets]
    if any(is_missing(value) for value in values):
        return None
    if config.kind == "classification":
        value = plain(values[0])
        return (float(list(classes).index(value)),) if value in classes else None
    if config.kind == "multilabel":
        return tuple(_truth(rows, id, column, row[column]) for column in config.targets)
    numbers = tuple(_number(rows, id, column, row[column]) for column in config.targets)
    if config.kind == "survival":
        if numbers[0] <= 0:
            _refuse(rows, id, config.targets[0], values[0], "a time above 0")
        return (numbers[0], _truth(rows, id, config.targets[1], values[1]))
    return numbers


def is_missing(value: str) -> bool:
    """Return whether *value* means a missing value."""
    return value.lower() in MISSING


def plain(value: str) -> str:
    """Return *value* with whole numbers in one notation, so that ``1``, ``1.0`` and ``01`` are the same class."""
    try:
        number = float(value)
    except ValueError:
        return value
    return str(int(number)) if number.is_integer() else value


def _label_values(config: TaskConfig, rows: Rows) -> dict[str, str]:
    classes = config.classes or rows.classes
    if config.classes and not all(value.isdigit() for value in classes):
        classes = {str(number): name for number, name in enumerate(classes.values())}
    if len(classes) < 2:
        raise DataError(f'{rows.where} does not name its labels: give task.classes = ["background", "..."]')
    if list(classes) != [str(number) for number in range(len(classes))]:
        raise DataError(f"labels must be 0 (background), 1, 2, ... without a gap, got {', '.join(classes)}")
    return classes


def _order(value: str) -> tuple[bool, float, str]:
    """Sort key: numbers come first in numeric order, then names in alphabetical order."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def _truth(rows: Rows, id: str, column: str, value: str) -> float:
    found = _TRUTH.get(plain(value).lower())
    return _refuse(rows, id, column, value, "0 or 1") if found is None else found


def _number(rows: Rows, id: str, column: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = _TRUTH.get(value.lower(), math.nan)
    return number if math.isfinite(number) else _refuse(rows, id, column, value, "a finite number")


def _refuse(rows: Rows, id: str, column: str, value: str, expected: str) -> float:
    raise DataError(f"{rows.where}: case '{id}' has {column} = '{value}', expected {expected}")
