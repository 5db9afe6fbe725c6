"""The comparison is right about tables of known truth."""

from functools import cache

import numpy as np
import pytest

from umzoo.downstream.evaluate.metrics import METRICS, auroc, c_index, primary
from umzoo.downstream.evaluate.statistics import (
    Comparison,
    Interval,
    compare,
    draw_weights,
    gains,
    holm,
    judge,
    swap_test,
    visible_difference,
)

REPETITIONS = 400
CORRELATION = 0.8
"""Of two references' scores within a class: two probes of one scan err alike."""


def score_pair(rng, subjects, gap_first, gap_second, correlation=CORRELATION, scans=1):
    """Targets, persons and two references' binormal scores; a gap is the distance of the classes' means."""
    truth = rng.permutation(np.arange(subjects) % 2).repeat(scans)
    person = np.arange(subjects).repeat(scans)
    person_effect = rng.normal(size=(2, subjects)).repeat(scans, axis=1) if scans > 1 else 0
    common, own = rng.normal(size=len(truth)), rng.normal(size=(2, len(truth)))
    noise = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own + person_effect
    scores = noise + np.array([[gap_first], [gap_second]]) * truth
    return truth, person, tuple(np.stack([-one, one], axis=1)[None] for one in scores)


@cache
def drawn(persons):
    """The bootstrap of scans of *persons*, which all repetitions share."""
    return draw_weights(np.array(persons), 200, 1)


def comparison(scores, truth, person, name="B"):
    """The comparison of one pair of scores."""
    weights = drawn(tuple(person.tolist()))
    judged = tuple(judge(one, truth, "classification", weights) for one in scores)
    return compare(("A", name), judged, truth, person, "classification", "100%", (500, 0.05, 1))


def decisions(gaps, subjects, seed, scans=1):
    """The comparison of each repetition; *gaps* are the distances of the classes' means."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(REPETITIONS):
        truth, person, scores = score_pair(rng, subjects, *gaps, scans=scans)
        found.append(comparison(scores, truth, person))
    return found


@pytest.mark.parametrize(("subjects", "scans", "gap"), [(40, 1, 0.0), (100, 1, 1.0), (30, 3, 1.0)])
def test_a_difference_is_wrongly_seen_in_at_most_7_5_percent(subjects, scans, gap):
    wrong = np.mean([found.decision != 0 for found in decisions((gap, gap), subjects, seed=subjects, scans=scans)])
    assert wrong <= 0.075


def test_a_gap_of_a_tenth_is_seen_at_100_subjects():
    better = 2**0.5 * np.array([1.0364, 0.6745])  # AUROC 0.85 and 0.75
    found = decisions(better, 100, seed=3)
    assert np.mean([it.difference.value for it in found]) == pytest.approx(0.1, abs=0.01)
    assert np.mean([it.decision == 1 for it in found]) >= 0.8
    assert not any(it.decision == -1 for it in found)


def test_the_visible_difference_is_what_is_seen_four_times_in_five():
    found = decisions((1.0, 1.0), 60, seed=5)
    spread = np.std([it.difference.value for it in found])
    assert np.mean([it.visible for it in found]) == pytest.approx(2.8 * spread, rel=0.15)


def test_auroc_and_c_index_are_those_of_others():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    truth, one = rng.integers(0, 3, 50), np.ones((1, 50))
    scores = rng.dirichlet(np.ones(3), 50)
    assert auroc(truth, scores[None], one)[0] == pytest.approx(roc_auc_score(truth, scores, multi_class="ovr"))
    survival = pytest.importorskip("sksurv.metrics")
    time, event, risk = rng.exponential(size=50), rng.integers(0, 2, 50), rng.normal(size=50)
    wanted = survival.concordance_index_censored(event > 0, time, risk)[0]
    assert c_index(np.stack([time, event], 1), risk[None, :, None], one)[0] == pytest.approx(wanted)


def test_swaps_agree_with_exchanged_scores():
    truth, person, scores = score_pair(np.random.default_rng(1), 20, 2.0, 0.0)
    found = [gains(pair, truth, "classification") for pair in (scores, scores[::-1])]
    assert swap_test(found[0], person, 2000, 0) == swap_test(found[1], person, 2000, 0)
    assert swap_test(0 * found[0], person, 100, 0) == 1


@pytest.mark.parametrize("kind", ["classification", "survival"])
def test_gains_with_their_signs_are_the_difference_of_exchanged_scores(kind):
    """Ranks are exchanged for some scans, and the metric is computed anew."""
    rng = np.random.default_rng(2)
    n, ones = 30, np.ones((1, 30))
    truth = rng.integers(0, 3, n) if kind == "classification" else np.stack([rng.random(n), rng.random(n) < 0.7], 1)
    shape = (2, n, 3 if kind == "classification" else 1)
    ranks = [np.argsort(np.argsort(rng.random(shape), axis=1), axis=1) + 1.0 for _ in range(2)]
    found = gains((ranks[0], ranks[1]), truth, kind)
    for swapped in (np.zeros(n, bool), rng.random(n) < 0.5):
        first, second = (np.where(swapped[None, :, None], *pair) for pair in (ranks[::-1], ranks))
        values = [METRICS[kind][primary(kind)](truth, one, ones)[0] for one in (first, second)]
        assert np.where(swapped, -found, found).sum() == pytest.approx(values[0] - values[1])


def test_scans_of_one_person_are_drawn_together():
    weights = draw_weights(np.array(["a", "a", "b", "c"]), 50, 0)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 1:].sum(1) == 3).all()


def test_holm_corrects_one_family():
    gap = Interval(0.1, 0.05, 0.2)
    family = [Comparison("a", "b", "auroc", "100%", gap, p, p, 0.1, 40, 0.05) for p in (0.04, 0.01, 0.03)]
    assert [it.adjusted for it in holm(family)] == pytest.approx([0.06, 0.03, 0.06])
    assert [it.decision for it in holm(family)] == [0, 1, 0]


def test_the_visible_difference_is_that_of_the_corrected_decision():
    """A planted gap as large as said to be visible is seen four times in five, beside comparisons without a gap."""
    rng, seen, said = np.random.default_rng(7), [], []
    for _ in range(REPETITIONS // 4):
        truth, person, scores = score_pair(rng, 60, 2.05, 1.2)
        none = [score_pair(rng, 60, 1.0, 1.0)[2] for _ in range(2)]
        family = holm([comparison(scores, truth, person), *(comparison(pair, truth, person) for pair in none)])
        seen.append(family[0].decision == 1)
        said.append((family[0].difference.value, family[0].visible))
    gap, visible = np.mean(said, axis=0)
    assert visible == pytest.approx(gap, rel=0.15), "the gap is chosen to be the visible one"
    assert 0.68 <= np.mean(seen) <= 0.92


def test_holm_tells_each_comparison_its_level():
    gap = Interval(0.1, 0.05, 0.2)
    family = [Comparison("a", "b", "auroc", "100%", gap, p, p, 0.1, 40, 0.05, 1.0) for p in (0.001, 0.03, 0.5)]
    found = [it.visible for it in holm(family)]
    assert found == pytest.approx([visible_difference(1, level) for level in (0.05 / 3, 0.025, 0.025)])


def test_verdicts_say_it_in_words():
    def verdict(low, value, high, adjusted):
        span = Interval(value, low, high)
        return Comparison("a", "random weights", "auroc", "100%", span, adjusted, adjusted, 0.15, 40, 0.05).verdict

    assert verdict(0.03, 0.08, 0.13, 0.01) == "better than random weights by 0.08 AUROC [0.03, 0.13]"
    assert verdict(-0.13, -0.08, -0.03, 0.01) == "worse than random weights by 0.08 AUROC [0.03, 0.13]"
    assert verdict(-0.02, 0.08, 0.18, 0.2).endswith("n = 40 can see 0.15 or more")
    assert verdict(0.01, 0.08, 0.18, 0.2).startswith("no difference")


def test_one_more_drawing_of_random_weights_is_seldom_better():
    """Drawings that truly differ, so that any number of persons can tell them apart; the reference is one of them."""
    rng, n, wrong, right = np.random.default_rng(0), 160, [], []
    truth = np.arange(n) % 2
    weights = draw_weights(np.arange(n), 100, 1)
    for _ in range(50):
        quality = rng.normal(1.0, 0.3, 4)
        noise = rng.normal(size=n) + rng.normal(size=(5, n)) * 0.15
        scores = noise + np.append(quality, 3.0)[:, None] * truth
        rows = np.stack([-scores, scores], axis=-1)
        control = judge(rows[1:4], truth, "classification", weights)
        for row, found in ((rows[:1], wrong), (rows[4:], right)):
            first = judge(row, truth, "classification", weights)
            swaps = (200, 0.05, 1)
            found.append(
                compare(("a", "b"), (first, control), truth, np.arange(n), "classification", "100%", swaps, draws=3)
            )
    assert np.mean([it.decision != 0 for it in wrong]) <= 0.1
    assert np.mean([it.adjusted <= 0.05 for it in wrong]) > 0.4, "persons alone would tell them apart"
    assert np.mean([it.decision == 1 for it in right]) > 0.4
    assert "from drawing to drawing" in max(wrong, key=lambda it: it.chance).verdict
