import numpy as np
import pytest

from umzoo.downstream.evaluate import EvaluateConfig, FeatureTable, evaluate
from umzoo.downstream.evaluate.config import size_of
from umzoo.downstream.evaluate.folds import assign_folds
from umzoo.downstream.evaluate.probes import reduce
from umzoo.downstream.evaluate.report import write_page
from umzoo.downstream.evaluate.results import card_results, write_rows
from umzoo.downstream.tasks.stratification import labeled_order
from umzoo.errors import ConfigError, DataError

FAST = EvaluateConfig(seeds=1, folds=3, bootstrap=200, permutations=200)


def make_table(kind="classification", subjects=40, scans=1, signal=2.0, seed=0, width=50):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=subjects).repeat(scans)
    person = np.arange(subjects).repeat(scans)
    count = len(person)
    targets = {
        "classification": (hidden > 0).astype(int),
        "multilabel": np.stack([hidden > 0, hidden > 0.5], 1).astype(float),
        "regression": hidden[:, None] * 10 + 50,
        "survival": np.stack([np.exp(-hidden) + 0.1, rng.random(count) < 0.8], 1).astype(float),
    }[kind]
    noise = rng.normal(size=(3, count, width))
    features = {"good": noise[0] + signal * hidden[:, None] * (np.arange(width) < 5), "random": noise[1]}
    features["simple"] = noise[2][:, :4]
    return FeatureTable(features, targets, person, kind, {"good": "random"}, "simple")


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression", "survival"])
def test_features_that_know_beat_those_that_do_not(kind):
    if kind == "survival":
        pytest.importorskip("sksurv")
    found = evaluate(make_table(kind), FAST)
    assert [it.decision for it in found.comparisons] == [1, 1]
    assert {it.second for it in found.comparisons} == {"random", "simple"}


def test_the_same_seed_gives_the_same_numbers():
    first, second = (evaluate(make_table(), FAST) for _ in range(2))
    assert first.comparisons == second.comparisons


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_the_whole_pipeline_seldom_sees_a_difference_between_equals(kind):
    """Four features of one quality: what differs is the noise, and what the probes learn from it."""
    config, wrong = EvaluateConfig(seeds=1, bootstrap=200, permutations=400), 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        hidden = rng.normal(size=60)
        signal = 0.7 * hidden[:, None] * (np.arange(20) < 4)
        features = {name: rng.normal(size=(60, 20)) + signal for name in ("a", "b", "random", "simple")}
        targets = (hidden > 0).astype(int) if kind == "classification" else hidden[:, None]
        table = FeatureTable(features, targets, np.arange(60), kind, {"a": "random"}, "simple")
        wrong += any(it.decision for it in evaluate(table, config).comparisons)
    assert wrong <= 3  # 5 % of 12 families; 4 or more in 0.2 % of runs


def test_scans_of_one_person_tell_nothing_of_each_other():
    """Features that name the person, with random answers: the score stays at chance."""
    rng = np.random.default_rng(0)
    person = np.arange(30).repeat(4)
    features = {"who": np.eye(30)[person] + 0.01 * rng.normal(size=(120, 30))}
    answers = rng.permutation(np.arange(30) % 2)[person]
    found = evaluate(FeatureTable(features, answers, person, "classification"), FAST)
    assert all(score.interval.value < 0.7 for score in found.scores)


def test_a_person_in_two_folds_is_refused():
    with pytest.raises(DataError, match="subject 'b' is in folds 0, 1"):
        FeatureTable(
            {"a": np.zeros((4, 2))},
            np.array([0, 1, 0, 1]),
            np.array(list("abbc")),
            "classification",
            folds=np.array([0, 0, 1, 1]),
        )


@pytest.mark.parametrize("bad", [np.full((40, 2), np.nan), np.zeros((39, 2)), np.zeros(40)])
def test_features_that_do_not_fit_are_refused(bad):
    with pytest.raises(DataError, match="features of 'x'"):
        FeatureTable({"x": bad}, np.zeros(40), np.arange(40), "classification")


def test_folds_hold_whole_persons():
    person = np.arange(20).repeat(3)
    fold = assign_folds(person % 2, person, 4, 0)
    assert all(len(set(fold[person == one])) == 1 for one in range(20))
    with pytest.raises(DataError, match="2 subjects cannot be split"):
        assign_folds(np.array([0, 1]), np.array([0, 1]), 3, 0)


def test_budgets_are_nested_and_hold_every_class_first():
    person, group = np.arange(50), np.array([1] * 5 + [0] * 45)
    ordered = labeled_order(group, person, np.random.default_rng(0))
    assert sorted(ordered) == person.tolist()
    assert {int(group[one]) for one in ordered[:2]} == {0, 1}
    assert sum(group[ordered[:20]]) == 2
    assert [size_of(budget, 50) for budget in ("5", "25%", "100%", "900", "1%")] == [5, 12, 50, 50, 2]


@pytest.mark.parametrize("budget", ["0", "-5", "150%", "some", "0%"])
def test_budgets_that_mean_nothing_are_refused(budget):
    with pytest.raises(ConfigError, match="label budget"):
        EvaluateConfig.parse({"labels": [budget]})


def test_reduction_keeps_all_distances():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(10, 300)), rng.normal(size=(5, 300))
    rows, held = reduce(train, test)
    scaled = (train - train.mean(0)) / train.std(0)
    wanted = np.linalg.norm(scaled[:, None] - scaled[None], axis=-1)
    found = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    assert rows.shape[1] == held.shape[1] == 9
    np.testing.assert_allclose(found / found[0, 1], wanted / wanted[0, 1], atol=1e-6)


def test_page_rows_and_card_say_the_same(tmp_path):
    config = FAST.model_copy(update={"labels": ("10", "100%")})
    found = evaluate(make_table(), config)
    page = write_page(found, "nodules", tmp_path).read_text()
    write_rows(found, [f"scan{number}" for number in range(40)], tmp_path)
    assert all(it.verdict in page for it in found.comparisons)
    assert {"scores.png", "labels.png", "scores.csv", "comparisons.csv", "predictions.csv"} <= {
        file.name for file in tmp_path.iterdir()
    }
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 1 + 3 * 2 * 2 * 40
    results = card_results(found, "good", "nodules")
    assert len(results) == 2
    assert "better than random by" in results[1].note
