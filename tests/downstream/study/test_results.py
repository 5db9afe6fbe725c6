"""Numbers of a study from made-up rows, whose truth is known."""

import numpy as np
import pytest

from umzoo.downstream.study.convergence import arrivals, curves_of
from umzoo.downstream.study.results import compare_arms, group_rows


def dice_rows(gains, seeds=5, subjects=12, noise=0.02, labels="4"):
    """Dice of 0.5 with a spread between subjects that all arms share, plus the gain of each arm."""
    rng = np.random.default_rng(0)
    level = rng.normal(0.5, 0.15, subjects)
    for arm, gain in gains.items():
        for seed in range(seeds):
            for subject in range(subjects):
                key = {"arm": arm, "labels": labels, "seed": str(seed), "case": f"c{subject}", "subject": f"s{subject}"}
                yield {**key, "name": "dice", "value": str(level[subject] + gain + rng.normal(0, noise))}
                yield {**key, "name": "dice.organ", "value": "nan"}


def compare(rows, kind="segmentation", control="scratch"):
    return {r.arm: r for r in compare_arms(group_rows(rows, kind), kind, control)}


def test_a_gain_shared_by_all_subjects_is_seen_through_the_spread_between_them():
    found = compare(list(dice_rows({"scratch": 0.0, "better": 0.05, "same": 0.0})))
    better, same = found["better"].difference, found["same"].difference
    assert better.value == pytest.approx(0.05, abs=0.02) and better.low > 0
    assert same.low < 0 < same.high
    assert found["better"].ahead == found["better"].seeds == 5
    assert found["scratch"].difference is None
    spread = found["better"].value.high - found["better"].value.low
    assert spread > 3 * (better.high - better.low)


def test_a_gain_of_one_seed_only_is_not_certain():
    rows = [row for row in dice_rows({"scratch": 0.0, "lucky": 0.0}, noise=0.0) if row["name"] == "dice"]
    for row in rows:
        if row["arm"] == "lucky" and row["seed"] == "0":
            row["value"] = str(float(row["value"]) + 0.3)
    gap = compare(rows)["lucky"].difference
    assert gap.value == pytest.approx(0.06) and gap.low <= 0


def test_pairs_that_are_not_complete_are_left_out():
    rows = [r for r in dice_rows({"scratch": 0.0, "better": 0.1}) if (r["arm"], r["seed"]) != ("scratch", "0")]
    assert compare(rows)["better"].seeds == 4


def test_seeds_that_judge_other_subjects_are_paired_within_themselves():
    rows = [{**r, "subject": f"{r['seed']}{r['subject']}"} for r in dice_rows({"scratch": 0.0, "better": 0.05})]
    assert compare(rows)["better"].difference.low > 0


@pytest.mark.parametrize("kind", ["classification", "regression", "survival", "multilabel"])
def test_answers_of_every_kind_are_judged(kind):
    rng = np.random.default_rng(0)
    rows = []
    for arm, noise in (("scratch", 3.0), ("better", 0.1)):
        for seed in range(3):
            for case in range(40):
                truth = case % 2
                said = truth + rng.normal(0, noise)
                named = {
                    "classification": {"truth": ["no", "yes"][truth], "p.no": -said, "p.yes": said},
                    "multilabel": {"truth.sick": float(truth), "p.sick": said},
                    "regression": {"truth.age": float(truth), "predicted.age": said},
                    "survival": {"time": 10.0 - 5 * truth + case / 100, "event": 1.0, "risk": said},
                }[kind]
                key = {"arm": arm, "labels": "4", "seed": str(seed), "case": f"c{case}", "subject": f"s{case}"}
                rows += [{**key, "name": name, "value": str(value)} for name, value in named.items()]
    found = compare(rows, kind)
    assert found["better"].difference.low > 0
    assert found["better"].value.value > 0.7


def curve_rows(values, labels="4"):
    for (arm, seed), curve in values.items():
        for step, value in curve.items():
            key = {"arm": arm, "labels": labels, "seed": str(seed)}
            yield {**key, "step": str(step), "name": "metric", "value": str(value)}


def test_steps_to_nine_tenths_of_what_the_control_ends_with():
    values = {
        ("scratch", 0): {10: 0.2, 20: 0.5, 30: 0.8, 40: 0.85},
        ("fast", 0): {10: 0.77, 20: 0.8, 30: 0.8, 40: 0.8},
        ("slow", 0): {10: 0.1, 20: 0.2, 30: 0.3, 40: 0.4},
    }
    found = {a.arm: a for a in arrivals(curves_of(list(curve_rows(values))), "segmentation", "scratch")}
    assert (found["scratch"].steps, found["fast"].steps) == (30, 10)
    assert found["fast"].ratio == pytest.approx(1 / 3)
    assert np.isinf(found["slow"].steps) and found["slow"].reached == 0


def test_errors_that_should_fall_arrive_from_above():
    values = {("scratch", 0): {1: 10.0, 2: 5.0, 3: 2.0}, ("fast", 0): {1: 2.1, 2: 2.0, 3: 2.0}}
    found = {a.arm: a for a in arrivals(curves_of(list(curve_rows(values))), "regression", "scratch")}
    assert (found["scratch"].steps, found["fast"].steps) == (3, 1)
