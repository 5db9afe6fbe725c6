import numpy as np
import pytest
import sklearn
from packaging.version import Version
from sklearn.model_selection import StratifiedGroupKFold

from umzoo.downstream.tasks.stratification import strata, stratified_folds


@pytest.mark.parametrize("seed", range(5))
def test_each_fold_has_its_share_of_each_stratum_and_whole_subjects(seed):
    subjects = np.repeat(np.arange(60), 2)
    groups = (subjects % 3 == 0).astype(int)
    fold = stratified_folds(groups, subjects, 5, seed)
    assert all(len(set(fold[subjects == subject])) == 1 for subject in range(60))
    assert all(
        ((fold == number) & (groups == group)).sum() == (8, 16)[group == 0] for number in range(5) for group in (0, 1)
    )


def test_the_seed_makes_the_folds():
    groups, subjects = np.arange(40) % 2, [f"s{number}" for number in range(40)]
    first, again, other = (stratified_folds(groups, subjects, 4, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.skipif(Version(sklearn.__version__) < Version("1.8"), reason="its shuffled folds are not stratified")
@pytest.mark.parametrize("seed", range(5))
def test_folds_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    subjects = rng.integers(0, 30, 80)
    groups = rng.integers(0, 3, 80)
    fold = stratified_folds(groups, subjects, 4, seed)
    splitter = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(splitter.split(groups, groups, subjects)):
        assert set(np.flatnonzero(fold == number)) == set(held)


def test_strata_of_each_kind():
    assert strata(np.array([0, 2, 1]), "classification").tolist() == [0, 2, 1]
    assert strata(np.array([[3.0, 1], [2.0, 0]]), "survival").tolist() == [1, 0]
    assert strata(np.array([[1, 1], [1, 0], [0, 0], [1, 0]]), "multilabel").tolist() == [0, 1, 2, 1]
    assert strata(np.arange(8.0)[:, None], "regression").tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
