"""Which persons a label budget takes."""

import pytest

from umzoo.downstream.tasks import Case, Split
from umzoo.downstream.tasks.labels import with_labels


def split_of(persons, scans=2):
    cases = [
        Case(f"{person}-{scan}", (), None, None, (float(person % 2),), f"p{person}", "", "", ())
        for person in range(persons)
        for scan in range(scans)
    ]
    return Split(tuple(cases[scans:]), tuple(cases[:scans]))


@pytest.mark.parametrize("kind", ["segmentation", "classification"])
def test_smaller_budgets_lie_in_larger_ones_and_take_whole_persons(kind):
    split = split_of(13)
    taken = [{case.id for case in with_labels(split, kind, b, seed=3).train} for b in ("1", "4", "50%", "100%")]
    assert [len(ids) for ids in taken] == [2, 8, 12, 24]
    assert all(small < large for small, large in zip(taken, taken[1:], strict=False))
    assert with_labels(split, kind, "4", 3).validation == split.validation


def test_the_seed_alone_says_who_is_labeled():
    draws = {tuple(case.id for case in with_labels(split_of(13), "segmentation", "4", seed).train) for seed in range(5)}
    assert len(draws) > 1
    again = [with_labels(split_of(13), "segmentation", "4", 1) for _ in range(2)]
    assert again[0] == again[1]
