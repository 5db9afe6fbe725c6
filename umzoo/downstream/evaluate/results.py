"""Results in files and on model cards."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from umzoo.downstream.evaluate.metrics import primary
from umzoo.downstream.evaluate.run import Evaluation
from umzoo.errors import WeightsError, in_one_line
from umzoo.files import read_json_list
from umzoo.weights.folder.info import Result, WeightsInfo

HUB_TASKS = {
    "survival": "tabular-regression",
    "regression": "image-regression",
    "segmentation": "image-segmentation",
}
"""Kind to the Hub's name of the task, where it is not image-classification."""


def card_results(found: Evaluation, reference: str, dataset: str) -> tuple[Result, ...]:
    """Return what the model card of *reference* shows: the deciding metric at each budget, and each comparison."""
    task, metric = HUB_TASKS.get(found.table.kind, "image-classification"), primary(found.table.kind)
    count = len(np.unique(found.table.subjects))
    how = f"{found.method}, {found.config.folds}-fold by subject, {found.config.seeds} seeds, n = {count}"
    results = []
    for score in found.scores:
        if (score.reference, score.probe, score.metric) == (reference, found.probe, metric):
            verdicts = [c.verdict for c in found.comparisons if (c.first, c.budget) == (reference, score.budget)]
            span = f"[{score.interval.low:.3g}, {score.interval.high:.3g}]"
            note = "; ".join([f"{span}, {score.budget} of labels, {how}", *verdicts])
            results.append(
                Result(task=task, dataset=dataset, metric=metric, value=round(score.interval.value, 4), note=note)
            )
    return tuple(results)


def write_results(found: Evaluation, references: Mapping[str, WeightsInfo | None], dataset: str, folder: Path) -> Path:
    """Write ``results.json``, which ``umzoo push --results`` puts on the model cards; return it.

    Each entry names the sums of the weights that it is about.
    """
    entries = []
    for name, info in references.items():
        results = [result.model_dump(mode="json") for result in card_results(found, name, dataset)]
        entries.append({"name": name, "files": dict(info.files) if info else {}, "results": results})
    file = folder / "results.json"
    file.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    return file


def results_for(file: Path, info: WeightsInfo) -> tuple[Result, ...]:
    """Return what *file* of :func:`write_results` says of the weights *info*, after the results that they have.

    A result for the same task, data set and metric is replaced.

    Raises:
        WeightsError: if *file* cannot be read, or is not about these weights.
    """
    try:
        entries = read_json_list(file)
        of_weights = [entry["results"] for entry in entries if info.files and entry["files"] == info.files]
        found = [Result.parse(result) for results in of_weights for result in results]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{file} is not a results.json of 'umzoo evaluate': {in_one_line(error)}") from None
    if not of_weights:
        raise WeightsError(f"{file} says nothing of {info.name}: its results are of other weights")
    new = {(result.task, result.dataset, result.metric) for result in found}
    return (*(old for old in info.results if (old.task, old.dataset, old.metric) not in new), *found)


def write_rows(found: Evaluation, scans: Sequence[str], folder: Path) -> None:
    """Write ``scores.csv``, ``comparisons.csv``, ``predictions.csv`` and ``evaluation.json`` into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = [{**asdict(score), **asdict(score.interval)} for score in found.scores]
    comparisons = [
        {**asdict(c), **asdict(c.difference), "decision": c.decision, "verdict": c.verdict} for c in found.comparisons
    ]
    for row in (*scores, *comparisons):
        row.pop("interval", None), row.pop("difference", None)
    _write(folder / "scores.csv", scores)
    _write(folder / "comparisons.csv", comparisons)
    _write(folder / "predictions.csv", _predictions(found, scans))
    content = {"config": found.config.model_dump(), "scores": scores, "comparisons": comparisons}
    text = json.dumps(_finite(content), indent=1) + "\n"
    (folder / "evaluation.json").write_text(text, encoding="utf-8")


def _predictions(found: Evaluation, scans: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row a scan, seed, reference, probe and budget."""
    names = found.table.classes
    for (reference, probe, budget), scores in found.predictions.items():
        for number, rows in enumerate(scores):
            draw, seed = divmod(number, found.config.seeds)
            for scan, subject, row in zip(scans, found.table.subjects, rows, strict=True):
                titles = names if len(names) == len(row) else [f"score_{k}" for k in range(len(row))]
                start = {"scan": scan, "subject": subject, "reference": reference, "probe": probe, "budget": budget}
                yield (
                    start
                    | {"draw": draw, "seed": found.config.seed + seed}
                    | dict(zip(titles, row.tolist(), strict=True))
                )


def _write(file: Path, rows: Any) -> None:
    rows = list(rows)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def _finite(value: Any) -> Any:
    """*value* with NaN as None, as JSON knows none."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
