"""Splits into training and validation, grouped by subject and stratified by target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.tasks.stratification import strata, stratified_folds
from umzoo.errors import DataError

if TYPE_CHECKING:
    from umzoo.downstream.tasks.task import Case


@dataclass(frozen=True)
class Split:
    """Training, validation and held-out test cases."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...] = ()

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Split:
        """Return the split given by each case's ``split``; cases without one are training cases."""
        parts = {"train": [], "validation": [], "test": []}  # type: dict[str, list[Case]]
        for case in cases:
            parts[case.split or "train"].append(case)
        return cls(tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]))


def split_cases(cases: Sequence[Case], kind: str, classes: Sequence[str], folds: int, seed: int) -> tuple[Split, ...]:
    """Return one split per fold; see :meth:`Task.folds <umzoo.downstream.tasks.task.Task.folds>`."""
    test = tuple(case for case in cases if case.split == "test")
    rest = [case for case in cases if case.split != "test"]
    named = sorted({case.fold for case in rest if case.fold}, key=lambda name: (len(name), name))
    if named:
        held = [[case.fold == name for case in rest] for name in named]
    else:
        _require_persons(rest, kind, classes, folds)
        held = _drawn(rest, kind, folds, seed)
    return tuple(
        Split(
            tuple(case for case, out in zip(rest, mask, strict=True) if not out),
            tuple(case for case, out in zip(rest, mask, strict=True) if out),
            test,
        )
        for mask in held
    )


def draw_subjects(cases: Sequence[Case], kind: str, share: float, seed: int) -> frozenset[str]:
    """Return a fraction *share* of the subjects, stratified by target; *seed* fixes the random choice."""
    held = _drawn(cases, kind, max(2, round(1 / share)), seed)[0]
    return frozenset(case.subject for case, out in zip(cases, held, strict=True) if out)


def case_strata(cases: Sequence[Case], kind: str) -> NDArray[np.int64]:
    """Return the stratum of each case; for segmentation, all cases are in one."""
    if kind == "segmentation":
        return np.zeros(len(cases), np.int64)
    return strata(np.array([case.targets for case in cases]), kind)


def _drawn(cases: Sequence[Case], kind: str, folds: int, seed: int) -> list[list[bool]]:
    fold = stratified_folds(_common(case_strata(cases, kind), folds), [case.subject for case in cases], folds, seed)
    return [list(fold == number) for number in range(folds)]


def _common(groups: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Merge groups with fewer cases than *folds* into the largest group, because they cannot be stratified."""
    values, counts = np.unique(groups, return_counts=True)
    rare = np.isin(groups, values[counts < folds])
    return np.where(rare, values[counts.argmax()], groups).astype(np.int64)


def _require_persons(cases: Sequence[Case], kind: str, classes: Sequence[str], folds: int) -> None:
    persons = {case.subject for case in cases}
    if len(persons) < folds:
        raise DataError(
            f"{len(persons)} persons cannot be split into {folds} folds:"
            f" give more cases, or lower task.folds (or raise task.validation)"
        )
    if kind != "classification":
        return
    for index, name in enumerate(classes):
        having = {case.subject for case in cases if case.targets[0] == index}
        if len(having) < folds:
            raise DataError(
                f"class '{name}' has {len(having)} persons, {folds} folds need {folds}:"
                " give more cases, lower task.folds (or raise task.validation), or leave the class out of task.classes"
            )
