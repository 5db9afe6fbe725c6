"""How often `umzoo evaluate` is wrong, and what it sees: python benchmarks/evaluate.py [REPETITIONS].

Prints the rate of false differences of the whole pipeline on features that know nothing, the power of the comparison
for a true difference of 0.1 AUROC at 100 persons, and the time for five references.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np

from umzoo.downstream.evaluate import EvaluateConfig, FeatureTable, evaluate
from umzoo.downstream.evaluate.statistics import WIDENING, compare, draw_weights, judge

SPREADS = 2**0.5 * np.array([1.0364, 0.6745])
"""Distances of two normal distributions with an AUROC of 0.85 and 0.75."""


def null_rates(repetitions: int) -> Iterator[str]:
    """Families of three comparisons (random weights, simple numbers, another reference) without any difference."""
    for kind in ("classification", "regression"):
        wrong = 0
        for seed in range(repetitions):
            rng = np.random.default_rng(seed)
            hidden = rng.normal(size=60)
            targets = (hidden > 0).astype(int) if kind == "classification" else hidden[:, None]
            signal = 0.7 * hidden[:, None] * (np.arange(20) < 4)
            features = {name: rng.normal(size=(60, 20)) + signal for name in ("a", "b", "random", "simple")}
            table = FeatureTable(features, targets, np.arange(60), kind, {"a": "random"}, "simple")  # type: ignore[arg-type]
            found = evaluate(table, EvaluateConfig(seeds=1, bootstrap=500, permutations=1000))
            wrong += any(it.decision for it in found.comparisons)
        yield f"{kind}, n = 60, 4 comparisons: {wrong} of {repetitions} families with a false difference"


def powers(repetitions: int) -> Iterator[str]:
    """How often a gap of 0.1 AUROC is seen, by the correlation of both references' scores within a class."""
    for subjects in (50, 100, 200):
        for correlation in (0.5, 0.7, 0.8):
            rng, seen, said = np.random.default_rng(subjects), 0, []
            for _ in range(repetitions):
                truth = rng.permutation(np.arange(subjects) % 2)
                common, own = rng.normal(size=subjects), rng.normal(size=(2, subjects))
                scores = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own + SPREADS[:, None] * truth
                weights = draw_weights(np.arange(subjects), 400, 1)
                pair = [judge(np.stack([-one, one], 1)[None], truth, "classification", weights) for one in scores]
                both, swaps = (pair[0], pair[1]), (1000, 0.05, 1)
                people = np.arange(subjects)
                found = compare(("a", "b"), both, truth, people, "classification", "100%", swaps, widening=WIDENING)
                seen += found.decision == 1
                said.append(found.visible)
            yield (
                f"n = {subjects}, correlation {correlation}: 0.1 seen in {seen / repetitions:.0%},"
                f" said to see {np.mean(said):.3f}"
            )


def times() -> Iterator[str]:
    """Five references, their controls and simple numbers, 100 scans, 320 features, three seeds of five folds."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=100)
    targets = {
        "two classes": (hidden > 0).astype(int),
        "five classes": np.argsort(np.argsort(hidden)) // 20,
        "regression": hidden[:, None],
        "survival": np.stack([np.exp(-hidden) + 0.1, rng.random(100) < 0.8], 1),
    }
    for name, answers in targets.items():
        kind = name if name in ("regression", "survival") else "classification"
        features = {f"r{i}": rng.normal(size=(100, 320)) + 0.1 * i * hidden[:, None] for i in range(5)}
        features |= {f"z{i}": rng.normal(size=(100, 320)) for i in range(5)} | {"s": rng.normal(size=(100, 15))}
        table = FeatureTable(features, answers, np.arange(100), kind, {f"r{i}": f"z{i}" for i in range(5)}, "s")  # type: ignore[arg-type]
        start, cpu = time.perf_counter(), time.process_time()
        evaluate(table)
        yield f"{name}: {time.perf_counter() - start:.1f} s, {time.process_time() - cpu:.1f} s of CPU time"


if __name__ == "__main__":
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for part in (times(), powers(repetitions), null_rates(repetitions)):
        for line in part:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
