"""Targets of the volumes of a store, such as an age or a diagnosis, for supervised pre-training.

``targets.json`` has a table for each target: the content of a volume (:func:`~umzoo.data.store.identity.content_of`)
to the text in the manifest. A target whose texts are all numbers is a number, otherwise its texts are classes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.store.durable_files import write_text
from umzoo.data.store.identity import content_of
from umzoo.data.store.record_columns import Records
from umzoo.errors import DataError
from umzoo.files import read_json

FILE = "targets.json"
MISSING = frozenset({"", "nan", "na", "n/a"})
"""Texts of unknown targets, in upper or lower case."""
MOST_CLASSES = 256
"""Maximum number of distinct texts of a target; more are names or free text, which must not enter a store."""


@dataclass(frozen=True)
class Target:
    """A target of the volumes of a store.

    Attributes:
        classes: names of the classes, sorted; empty for a number.
        mean: mean of the known numbers; 0 for classes.
        std: standard deviation of the known numbers, or 1 if they are all equal; 1 for classes.
    """

    classes: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Target:
        """The inverse of ``dataclasses.asdict``, also after a round trip through JSON."""
        return cls(tuple(plain["classes"]), float(plain["mean"]), float(plain["std"]))


@dataclass(frozen=True)
class Targets:
    """Targets by name, and their value for each volume.

    Attributes:
        known: description of each target.
        values: by name and volume ``(N,)``: the index of its class as int64, -1 if unknown; or the number as
            float32, NaN if unknown.
    """

    known: dict[str, Target] = field(default_factory=dict)
    values: dict[str, NDArray[Any]] = field(default_factory=dict)


def read_targets(store: Path, records: Records) -> Targets:
    """Return the targets in *store* of the volumes *records*.

    Raises:
        DataError: if the file is corrupted.
    """
    result, tables = Targets(), _read(store)
    contents = [content_of(name) for name in records.ids] if tables else []
    for name, texts in tables.items():
        result.known[name] = target = _target(texts.values())
        found = [texts.get(content) for content in contents]
        if target.classes:
            place = {text: number for number, text in enumerate(target.classes)}
            result.values[name] = np.array([-1 if text is None else place[text] for text in found], np.int64)
        else:
            result.values[name] = np.array([math.nan if text is None else float(text) for text in found], np.float32)
    return result


def update_targets(store: Path, given: Mapping[str, Mapping[str, str]], volumes: Collection[str]) -> None:
    """Write the *given* targets, by content of a volume and name of a target; drop contents that are not in *volumes*.

    Earlier values stay, unless they are given again. Nothing is written to a store without targets.

    Raises:
        StoreError: if it cannot be written.
        DataError: if the earlier targets are corrupted.
    """
    before = _read(store)
    names = sorted({*before, *(name for row in given.values() for name in row)})
    tables = {name: {**before.get(name, {}), **_column(given, name)} for name in names}
    for table in tables.values():
        for content in table.keys() - volumes:
            del table[content]
    kept = {name: dict(sorted(table.items())) for name, table in tables.items() if table}
    if kept != before:
        write_text(store / FILE, json.dumps(kept, indent=0) + "\n")


def require_classes(name: str, texts: Collection[str]) -> None:
    """Refuse a target *name* whose *texts* are neither numbers nor classes.

    Raises:
        DataError: if there are too many distinct ones.
    """
    count = len(_target([text for text in texts if is_known(text)]).classes)
    if count > MOST_CLASSES:
        raise DataError(
            f"column '{name}' has {count} distinct texts, at most {MOST_CLASSES} are allowed: a target is a number or a"
            " class, and a store must not contain names of persons"
        )


def is_known(text: str) -> bool:
    """Whether *text* is not one of ``MISSING``."""
    return text.strip().lower() not in MISSING


def _column(given: Mapping[str, Mapping[str, str]], name: str) -> dict[str, str]:
    return {content: row[name].strip() for content, row in given.items() if is_known(row.get(name, ""))}


def _target(texts: Collection[str]) -> Target:
    numbers = [_number(text) for text in texts]
    if not all(math.isfinite(number) for number in numbers):
        return Target(tuple(sorted(set(texts))))
    if not numbers:
        return Target()
    return Target((), float(np.mean(numbers)), float(np.std(numbers)) or 1.0)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _read(store: Path) -> dict[str, dict[str, str]]:
    file = store / FILE
    if not file.is_file():
        return {}
    content = read_json(file, error=DataError, remedy="prepare the manifest again with --target")
    texts = [text for it in content.values() for text in (it.values() if isinstance(it, dict) else [it])]
    if not all(isinstance(it, dict) for it in content.values()) or not all(isinstance(it, str) for it in texts):
        raise DataError(f"{file} is corrupted: expected a table of texts for each target; prepare the manifest again")
    return content
