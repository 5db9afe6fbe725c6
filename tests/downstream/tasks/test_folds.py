"""Folds keep persons together, classes in balance, and are a function of the seed."""

from pathlib import Path

import numpy as np
import pytest

from umzoo.downstream.tasks.config import TaskConfig
from umzoo.downstream.tasks.task import Case, Task
from umzoo.errors import DataError


def task(n=60, kind="classification", per_person=2, classes=2, split=lambda i: "", fold=lambda i: "", **options):
    targets = {"survival": lambda i: (i + 1.0, float(i % 2)), "regression": lambda i: (float(i),)}
    answer = targets.get(kind, lambda i: (float(i // per_person % classes),))
    cases = tuple(
        Case(f"{i:03}", (Path(f"{i}.nii"),), None, None, answer(i), f"p{i // per_person}", split(i), fold(i), ("ct",))
        for i in range(n)
    )
    names = ["t", "e"] if kind == "survival" else ["y"]
    config = TaskConfig(name="t", kind=kind, data="x.csv", targets=names, **options)
    return Task(config, cases, tuple(map(str, range(classes))), 0)


@pytest.mark.parametrize("kind", ["classification", "regression", "survival"])
def test_folds_partition_the_cases_and_keep_persons_together(kind):
    made = task(kind=kind)
    folds = made.folds(seed=3)
    assert sorted(case.id for fold in folds for case in fold.validation) == [case.id for case in made.cases]
    for fold in folds:
        assert not {case.subject for case in fold.train} & {case.subject for case in fold.validation}
        assert len(fold.train) + len(fold.validation) == len(made.cases)


def test_classes_are_balanced():
    for fold in task(n=100).folds(1):
        share = np.mean([case.targets[0] for case in fold.validation])
        assert 0.3 <= share <= 0.7


def test_folds_are_a_function_of_the_seed():
    assert task().folds(5) == task().folds(5)
    assert task().folds(5) != task().folds(6)


def test_splits_of_the_data_are_honored():
    made = task(split=lambda i: ("train", "validation", "test")[i // 20])
    split = made.split(0)
    assert (len(split.train), len(split.validation), len(split.test)) == (20, 20, 20)
    assert all(len(fold.test) == 20 for fold in made.folds(0))


def test_folds_of_the_data_are_honored():
    folds = task(fold=lambda i: str(i // 20)).folds(0)
    assert [[case.fold for case in fold.validation] for fold in folds] == [[str(k)] * 20 for k in range(3)]


def test_share_of_validation():
    assert len(task(n=100, per_person=1, validation=0.25).split(0).validation) == 25


def test_a_class_with_too_few_persons_is_refused():
    with pytest.raises(DataError, match="has 3 persons, 5 folds need 5"):
        task(n=12, per_person=2).folds(0)
    with pytest.raises(DataError, match="2 persons cannot be split"):
        task(n=4, kind="regression").folds(0)
